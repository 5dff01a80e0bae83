/**
 * Listens and hands every request to a fetch handler. Bun's own server; the only Bun API outside its entry files, so
 * that another runtime needs a change here alone.
 */
import type { Clock } from "../../lib/ambient.ts";

/** Above every body our own code accepts, so that what is too large is refused by our code with a problem body. */
const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
/** Seconds without a byte after which a connection is closed; slow senders do not hold it for ever. */
const IDLE_S = 30;

export interface Listening {
  /** Where it listens, for people and curl: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly port: number;
  /**
   * Goes on as before for `noticeMs`, in which a balancer can see that /readyz says 503. Then takes no new connection and
   * lets requests in flight end; closes after another `ms` what has not ended.
   */
  stopWithin(noticeMs: number, ms: number, clock: Pick<Clock, "timer">): Promise<void>;
  /** Closes everything at once. */
  kill(): Promise<void>;
}

export interface ServeOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** What the reader chooses the port by, for the error: `PORT`, `PROCESSOR_PORT` or `--port`. */
  readonly portSetting: string;
  readonly fetch: (request: Request) => Response | Promise<Response>;
}

/** It cannot listen there; the message names host, port and the settings that choose others. */
export class CannotListen extends Error {
  override readonly name = "CannotListen";
  /** Another program listens there, which may be one of ours. */
  readonly isPortBusy: boolean;
  constructor(message: string, isPortBusy: boolean, cause: unknown) {
    super(message, { cause });
    this.isPortBusy = isPortBusy;
  }
}

/** Throws `CannotListen`; never listens elsewhere than it was told. */
export function serveHttp(options: ServeOptions): Listening {
  const { host } = options;
  const server = listen(options);
  const port = server.port ?? options.port;
  const shown = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${port}`,
    port,
    async stopWithin(noticeMs, ms, clock) {
      if (noticeMs > 0) await new Promise<void>((resolve) => void clock.timer(noticeMs, resolve));
      await new Promise<void>((resolve) => {
        const cancel = clock.timer(ms, resolve);
        void server.stop(false).then(resolve).finally(cancel);
      });
      await server.stop(true);
    },
    kill: () => server.stop(true),
  };
}

function listen(options: ServeOptions) {
  const { host, port, fetch } = options;
  try {
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      idleTimeout: IDLE_S,
      maxRequestBodySize: REQUEST_BYTES_MAX,
      development: false,
      // Bun 1.4.5 sets SO_REUSEPORT when `development` is false: two processes would share one port in silence.
      reusePort: false,
      // The handler answers every error itself; this one speaks only if that fails, and says nothing of the inside.
      error: () => new Response(null, { status: 500 }),
    });
  } catch (cause) {
    throw cannotListen(options, cause);
  }
}

function cannotListen({ host, port, portSetting }: ServeOptions, cause: unknown): CannotListen {
  const code = cause instanceof Error && "code" in cause ? cause.code : null;
  const where = `cannot listen on ${host}:${port}`;
  switch (code) {
    case "EADDRINUSE": {
      const remedy = `Stop that program, or choose another port with ${portSetting} (0 takes a free one).`;
      return new CannotListen(`${where} since port ${port} is in use by another program. ${remedy}`, true, cause);
    }
    case "EACCES": {
      const remedy = `Choose one from 1024 on with ${portSetting}.`;
      return new CannotListen(`${where} since this user may not listen on port ${port}. ${remedy}`, false, cause);
    }
    case "EADDRNOTAVAIL":
      return new CannotListen(`${where} since ${host} is no address of this machine. Mend HOST.`, false, cause);
    default: {
      const why = cause instanceof Error ? cause.message : String(cause);
      return new CannotListen(`${where} (${why}). Choose another with HOST and ${portSetting}.`, false, cause);
    }
  }
}

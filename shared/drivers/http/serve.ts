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
  /** Takes no new connection, lets requests in flight end; closes after `ms` what has not ended. */
  stopWithin(ms: number, clock: Pick<Clock, "timer">): Promise<void>;
  /** Closes everything at once. */
  kill(): Promise<void>;
}

/** Port 0 takes any free one. Throws an error that names host and port when it cannot listen there. */
export function serveHttp(options: {
  host: string;
  port: number;
  fetch: (request: Request) => Response | Promise<Response>;
}): Listening {
  const { host } = options;
  const server = listen(options);
  const port = server.port ?? options.port;
  const shown = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${port}`,
    port,
    async stopWithin(ms, clock) {
      await new Promise<void>((resolve) => {
        const cancel = clock.timer(ms, resolve);
        void server.stop(false).then(resolve).finally(cancel);
      });
      await server.stop(true);
    },
    kill: () => server.stop(true),
  };
}

function listen({ host, port, fetch }: Parameters<typeof serveHttp>[0]) {
  try {
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      idleTimeout: IDLE_S,
      maxRequestBodySize: REQUEST_BYTES_MAX,
      development: false,
      // The handler answers every error itself; this one speaks only if that fails, and says nothing of the inside.
      error: () => new Response(null, { status: 500 }),
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot listen on ${host}:${port} (${why}); choose another with HOST and PORT`, { cause });
  }
}

/**
 * HTTP/1.1 over sockets of our own and the runtime's own parser: the client on Bun. It takes half of undici's processor
 * time, and knows of each request what undici and `fetch` do not tell: whether its socket was new, whether a byte of the answer came
 * (docs/adr/0009).
 */
import type { Clock } from "../../lib/ambient.ts";
import type { ReceivedAnswer } from "./answer.ts";
import { Connection } from "./connection.ts";
import { ConnectionPool } from "./connection-pool.ts";
import type { OpenSocket } from "./guarded-connect.ts";
import type { ExchangeRequest, HttpClient } from "./http-client.ts";
import { NotBegun } from "./http-client.ts";
import { Limit } from "./limit.ts";
import { createOutbox } from "./outbox.ts";
import { requestHead } from "./request-bytes.ts";
import type { runtimeParser } from "./runtime-parser.ts";

export interface SocketClientOptions {
  readonly clock: Clock;
  readonly parser: NonNullable<ReturnType<typeof runtimeParser>>;
  readonly connectionsMax: number;
  readonly socketsMax: number;
  readonly openSocket: OpenSocket;
  /** Why requests end when the client is closed. */
  readonly closing: AbortSignal;
}

export function createSocketClient(options: SocketClientOptions): HttpClient {
  const { clock, parser, openSocket, closing } = options;
  const outbox = createOutbox(clock);
  const pool = new ConnectionPool({
    clock,
    connectionsMax: options.connectionsMax,
    socketsMax: options.socketsMax,
    open: async (origin, tenant, hooks) => {
      const opened = await openSocket(origin, tenant);
      return new Connection({ clock, parser, outbox, ...opened, ...hooks });
    },
  });

  async function postLater(
    { origin, body }: ExchangeRequest,
    head: string,
    tenant: string,
    isFresh: boolean,
    limit: Limit,
    mayBegin: () => boolean,
  ): Promise<ReceivedAnswer> {
    using _ = limit;
    const connection = await pool.wait(origin, tenant, isFresh, limit);
    if (!mayBegin()) {
      const refusal = new NotBegun("nothing was sent");
      connection.close(refusal);
      throw refusal;
    }
    return await connection.send(head, body, limit);
  }

  return {
    hasSocket: (origin) => pool.hasIdle(origin),
    post(request, limits, tenant, isFresh) {
      const head = requestHead(request);
      const connection = isFresh ? undefined : pool.takeIdle(request.origin);
      const limit = new Limit(limits);
      if (connection === undefined) return postLater(request, head, tenant, isFresh, limit, limits.mayBegin);
      return connection.send(head, request.body, limit);
    },
    close() {
      pool.close(closing.reason);
      return Promise.resolve();
    },
  };
}

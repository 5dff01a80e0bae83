/** Servers of our own between a driver and Redis: one that can fall silent or drop its connections, and one that plays a part. */
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { openTcpProxy } from "../../support/tcp-proxy.ts";

export interface RedisProxy extends AsyncDisposable {
  readonly url: string;
  /** Ends every connection at once. */
  drop(): void;
  /** From now on connections are accepted and nothing passes, in either direction, until `mend`. */
  silence(): void;
  mend(): void;
}

/** Passes on to the Redis of REDIS_URL. */
export async function openRedisProxy(): Promise<RedisProxy> {
  const target = new URL(process.env["REDIS_URL"] ?? "redis://missing:1");
  const proxy = await openTcpProxy({ host: target.hostname, port: Number(target.port || 6379) });
  return {
    url: `redis://127.0.0.1:${proxy.port}`,
    drop: proxy.drop,
    silence: () => void proxy.set({ kind: "silent" }),
    mend() {
      // What was held back is gone with its connection.
      proxy.drop();
      void proxy.set({ kind: "none" });
    },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

/** Speaks RESP2 and answers each command (upper case, with its arguments) with what `answer` writes. */
export async function openActor(
  answer: (command: readonly string[]) => string,
): Promise<{ readonly url: string } & AsyncDisposable> {
  return await openServer((socket) => {
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      for (let next = cutCommand(text); next !== null; next = cutCommand(text)) {
        text = next.rest;
        socket.write(answer(next.command));
      }
    });
  });
}

function cutCommand(text: string): { readonly command: readonly string[]; readonly rest: string } | null {
  const head = /^\*(\d+)\r\n/u.exec(text);
  if (head === null) return null;
  let rest = text.slice(head[0].length);
  const command: string[] = [];
  while (command.length < Number(head[1])) {
    const bulk = /^\$(\d+)\r\n/u.exec(rest);
    if (bulk === null) return null;
    const from = bulk[0].length;
    const to = from + Number(bulk[1]);
    if (rest.length < to + 2) return null;
    command.push(rest.slice(from, to));
    rest = rest.slice(to + 2);
  }
  return { command: [(command[0] ?? "").toUpperCase(), ...command.slice(1)], rest };
}

async function openServer(listener: (socket: Socket) => void): Promise<{ readonly url: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    listener(socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `redis://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

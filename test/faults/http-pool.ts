/**
 * POSTs to any number of servers on the loopback over kept connections, as many at a time as are asked for: the runtimes'
 * own clients queue beyond a few hundred, which would hide what a hanging gateway does. Nothing is ever sent twice.
 */
import type { Socket } from "node:net";
import { connect } from "node:net";

export type PostAnswer =
  | { readonly kind: "answered"; readonly status: number; readonly body: string }
  /** Refused, or ended without a whole answer. */
  | { readonly kind: "broken" }
  | { readonly kind: "silent" };

export interface HttpPool extends Disposable {
  /** Never rejects. */
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<PostAnswer>;
}

/** A connection that was idle for longer is not used again: the server may be about to end it. */
const IDLE_MS = 2000;

export function openHttpPool(silentMs: number): HttpPool {
  const idleByPort = new Map<string, { readonly socket: Socket; readonly sinceMs: number }[]>();
  const sockets = new Set<Socket>();

  function socketTo({ hostname, port }: URL): Socket {
    const idle = idleByPort.get(port) ?? [];
    for (let kept = idle.pop(); kept !== undefined; kept = idle.pop()) {
      if (!kept.socket.destroyed && performance.now() - kept.sinceMs < IDLE_MS) return kept.socket;
      kept.socket.destroy();
    }
    const socket = connect({ port: Number(port), host: hostname, noDelay: true });
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    return socket;
  }
  function keep(port: string, socket: Socket): void {
    const idle = idleByPort.get(port) ?? [];
    idleByPort.set(port, idle);
    idle.push({ socket, sinceMs: performance.now() });
  }

  return {
    post(url, headers, body) {
      const target = new URL(url);
      const socket = socketTo(target);
      return new Promise((resolve) => {
        let text = "";
        const timer = setTimeout(() => finish({ kind: "silent" }, false), silentMs);
        const finish = (answer: PostAnswer, isKept: boolean): void => {
          clearTimeout(timer);
          socket.off("data", onData);
          socket.off("close", onClose);
          if (isKept) keep(target.port, socket);
          else socket.destroy();
          resolve(answer);
        };
        const onData = (bytes: Buffer): void => {
          text += bytes.toString("latin1");
          const answer = readAnswer(text);
          if (answer !== null) finish(answer, !/^connection: close/im.test(text));
        };
        const onClose = (): void => finish({ kind: "broken" }, false);
        socket.on("data", onData);
        socket.on("close", onClose);
        const lines = Object.entries({
          ...headers,
          host: target.host,
          "content-length": String(Buffer.byteLength(body)),
        });
        const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
        socket.write(`POST ${target.pathname} HTTP/1.1\r\n${head}\r\n${body}`);
      });
    },
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Null while it is not whole. The gateway gives each answer its length. */
function readAnswer(text: string): PostAnswer | null {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0);
  const length = Number(/^content-length: *(\d+)/im.exec(text.slice(0, end))?.[1] ?? 0);
  const body = text.slice(end + 4);
  return body.length < length ? null : { kind: "answered", status, body };
}

/** Callers over the sockets of `node:net`, on every runtime. */
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import type { CallerEvents, CallerListener, CallerSocket, ListenOptions } from "./caller-socket.ts";

/** Rejects as `node:net` does, with a `code`. */
export async function listenOnStreams(options: ListenOptions): Promise<CallerListener> {
  const { host, port, isShared, onConnection } = options;
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.on("connection", (socket) => onConnection(new StreamSocket(socket)));
  const closed = new Promise<void>((resolve) => {
    server.once("close", resolve);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: !isShared }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      return closed;
    },
  };
}

class StreamSocket implements CallerSocket {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  listen({ onData, onEnd, onDrain, onClose }: CallerEvents): void {
    const socket = this.#socket;
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("drain", onDrain);
    socket.on("error", () => socket.destroy());
    socket.on("close", onClose);
  }

  get needsDrain(): boolean {
    return this.#socket.writableNeedDrain;
  }

  write(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  end(text: string): void {
    this.#socket.end(text);
  }

  turnAway(text: string): void {
    this.#socket.on("error", () => undefined);
    this.#socket.end(text, () => this.#socket.destroy());
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }
}

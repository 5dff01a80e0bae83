/**
 * Reads and writes a connected socket without the stream classes of `node:net`, where the runtime lets its own handle be
 * taken over (Bun, plain and TLS alike). The stream costs a fifth of a request there. Elsewhere it is the stream.
 */
import type { Socket } from "node:net";

export interface SocketEvents {
  readonly onData: (chunk: Buffer) => void;
  /** The peer sends no more. */
  readonly onEnd: () => void;
  /** Once. Null when nothing is known but that it is closed. */
  readonly onClose: (error: Error | null) => void;
}

export interface ByteSocket {
  /** Takes all; the bytes may be overwritten afterwards. What the kernel has no room for yet is kept and follows. */
  write(bytes: Buffer): void;
  destroy(): void;
}

/** Bun 1.4.5: the native socket under a `net.Socket` or a `TLSSocket`. */
interface NativeHandle {
  data: unknown;
  reload(change: { readonly socket: NativeHandlers }): void;
  /** How many bytes were taken; negative when it is closed. */
  write(bytes: Uint8Array): number;
}

interface NativeHandlers {
  data(handle: NativeHandle, chunk: Buffer): void;
  end(handle: NativeHandle): void;
  close(handle: NativeHandle, error?: Error): void;
  error(handle: NativeHandle, error: Error): void;
  drain(handle: NativeHandle): void;
}

/** The socket is ours from here on: nobody else reads it or listens to it. */
export function takeOver(socket: Socket, events: SocketEvents): ByteSocket {
  const { _handle: handle } = socket as unknown as { readonly _handle?: NativeHandle | null };
  return typeof handle?.reload === "function" ? new NativeSocket(socket, handle, events) : streamOf(socket, events);
}

/** One set for all sockets; `data` of the handle says whose it is. */
const handlers: NativeHandlers = {
  data: ({ data }, chunk) => (data as NativeSocket).events.onData(chunk),
  end: ({ data }) => (data as NativeSocket).events.onEnd(),
  close: ({ data }, error) => (data as NativeSocket).events.onClose(error ?? null),
  error: ({ data }, error) => (data as NativeSocket).events.onClose(error),
  drain: ({ data }) => (data as NativeSocket).flush(),
};

class NativeSocket implements ByteSocket {
  readonly events: SocketEvents;
  readonly #socket: Socket;
  readonly #handle: NativeHandle;
  /** Bounded by what was written: a request at most, since the next one waits for the answer. */
  #unsent: Buffer | null = null;

  constructor(socket: Socket, handle: NativeHandle, events: SocketEvents) {
    this.#socket = socket;
    this.#handle = handle;
    this.events = events;
    handle.data = this;
    handle.reload({ socket: handlers });
    handle.data = this;
  }

  write(bytes: Buffer): void {
    if (this.#unsent !== null) {
      this.#unsent = Buffer.concat([this.#unsent, bytes]);
      return;
    }
    const taken = Math.max(0, this.#handle.write(bytes));
    if (taken < bytes.length) this.#unsent = Buffer.from(bytes.subarray(taken));
  }

  flush(): void {
    const unsent = this.#unsent;
    if (unsent === null) return;
    const taken = Math.max(0, this.#handle.write(unsent));
    this.#unsent = taken < unsent.length ? unsent.subarray(taken) : null;
  }

  destroy(): void {
    this.#unsent = null;
    this.#socket.destroy();
  }
}

function streamOf(socket: Socket, events: SocketEvents): ByteSocket {
  socket.on("data", events.onData);
  socket.on("end", events.onEnd);
  socket.on("error", events.onClose);
  socket.on("close", () => events.onClose(null));
  return {
    write: (bytes) => void socket.write(Buffer.from(bytes)),
    destroy: () => void socket.destroy(),
  };
}

/** Callers over Bun's own sockets, without the stream classes of `node:net`, which take 5 us of each request (docs/adr/0010). */
import type { CallerEvents, CallerListener, CallerSocket, ListenOptions } from "./caller-socket.ts";

/** What is used of `Bun.listen`; its types are known where Bun's are alone. */
interface BunRuntime {
  listen(options: {
    readonly hostname: string;
    readonly port: number;
    readonly exclusive: boolean;
    readonly allowHalfOpen: boolean;
    readonly socket: Handlers;
  }): { readonly port: number; stop(closesAll: boolean): void };
}

interface Handle {
  data: BunSocket | undefined;
  /** How many bytes were taken; negative when it is closed. */
  write(data: string | Uint8Array): number;
  /** Closes both sides; what was taken goes out. */
  end(): void;
  /** Closes our side. */
  shutdown(): void;
  pause(): void;
  resume(): void;
}

interface Handlers {
  open(handle: Handle): void;
  data(handle: Handle, bytes: Buffer): void;
  end(handle: Handle): void;
  drain(handle: Handle): void;
  error(handle: Handle, error: Error): void;
  close(handle: Handle): void;
}

/** Null on other runtimes. */
export function bunRuntime(): BunRuntime | null {
  return (globalThis as { readonly Bun?: BunRuntime }).Bun ?? null;
}

/** Throws with a `code`, as `node:net` does. */
export function listenOnBun(bun: BunRuntime, { host, port, onConnection }: ListenOptions): CallerListener {
  const listener = bun.listen({
    hostname: host,
    port,
    exclusive: true,
    allowHalfOpen: true,
    socket: {
      open(handle) {
        const socket = new BunSocket(handle);
        handle.data = socket;
        onConnection(socket);
      },
      data: ({ data }, bytes) => data?.events?.onData(bytes),
      end: ({ data }) => data?.events?.onEnd(),
      drain: ({ data }) => data?.drained(),
      error(handle, error) {
        handle.end();
        // What a handler above throws comes here as well, and is a bug.
        if (!("syscall" in error)) throw error;
      },
      close: ({ data }) => data?.closed(),
    },
  });
  return {
    port: listener.port,
    close() {
      listener.stop(false);
      return Promise.resolve();
    },
  };
}

class BunSocket implements CallerSocket {
  events: CallerEvents | null = null;
  readonly #handle: Handle;
  /** Bounded by what was written: an answer, since the next one waits until it is gone. */
  #unsent: Buffer | null = null;
  #isEnding = false;
  #isPaused = false;
  #isClosed = false;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  listen(events: CallerEvents): void {
    this.events = events;
  }

  get needsDrain(): boolean {
    return this.#unsent !== null;
  }

  write(data: string | Uint8Array): void {
    if (this.#isClosed || this.#isEnding) return;
    if (this.#unsent !== null) {
      this.#unsent = Buffer.concat([this.#unsent, bytesOf(data)]);
      return;
    }
    const taken = Math.max(0, this.#handle.write(data));
    const length = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    if (taken < length) this.#unsent = restOf(data, taken);
  }

  end(text: string): void {
    if (text !== "") this.write(text);
    this.#isEnding = true;
    this.#endWhenSent();
  }

  turnAway(text: string): void {
    this.write(text);
    this.#handle.end();
  }

  destroy(): void {
    if (!this.#isClosed) this.#handle.end();
  }

  pause(): void {
    if (this.#isPaused || this.#isClosed) return;
    this.#isPaused = true;
    this.#handle.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isClosed) return;
    this.#isPaused = false;
    this.#handle.resume();
  }

  drained(): void {
    const unsent = this.#unsent;
    if (unsent === null) return;
    const taken = Math.max(0, this.#handle.write(unsent));
    this.#unsent = taken < unsent.length ? unsent.subarray(taken) : null;
    if (this.#unsent !== null) return;
    this.events?.onDrain();
    this.#endWhenSent();
  }

  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unsent = null;
    this.events?.onClose();
  }

  #endWhenSent(): void {
    if (this.#isEnding && this.#unsent === null && !this.#isClosed) this.#handle.shutdown();
  }
}

/** Of bytes no copy: they may be those of many connections. Of a text nothing is kept that was taken. */
function restOf(data: string | Uint8Array, taken: number): Buffer {
  if (typeof data === "string") return Buffer.from(bytesOf(data).subarray(taken));
  return Buffer.from(data.buffer, data.byteOffset + taken, data.length - taken);
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? Buffer.from(data) : data;
}

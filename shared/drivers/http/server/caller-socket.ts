/** A caller's socket as a connection uses it, whatever is below. */
export interface CallerEvents {
  readonly onData: (bytes: Buffer) => void;
  /** The caller sends no more. */
  readonly onEnd: () => void;
  /** There is room again for what is written. */
  readonly onDrain: () => void;
  /** Once, and the last. */
  readonly onClose: () => void;
}

export interface CallerSocket {
  /** Called once, before anything can come. */
  listen(events: CallerEvents): void;
  /** Takes all; what the kernel has no room for yet is kept and follows. Does nothing once it is closed. */
  write(data: string | Uint8Array): void;
  /** The last that is written: then our side is closed, and the caller's stays open. */
  end(text: string): void;
  /** The only thing that is written, to one that was never read: closed as soon as it is on its way. */
  turnAway(text: string): void;
  /** Closes at once. */
  destroy(): void;
  /** No more is read, until `resume`. */
  pause(): void;
  resume(): void;
  /** Some of what was written is kept here: `onDrain` tells when it is gone. */
  readonly needsDrain: boolean;
}

/** Where callers connect. */
export interface CallerListener {
  readonly port: number;
  /** Takes no new connection; those that are open stay. Resolves when the port is free. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** With the other children of one `node:cluster`. */
  readonly isShared: boolean;
  readonly onConnection: (socket: CallerSocket) => void;
}

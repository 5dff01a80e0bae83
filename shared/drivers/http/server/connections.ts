/**
 * The connections that callers hold open, and the bound on them. A connection without a request under way costs a
 * descriptor and does nothing, so it makes room for a new one: of those that never had a request the one that waits longest, while they
 * hold more than a quarter of all; else of those that had one. Only when a request is under way on every one is the new
 * one refused. Generic over the connection, so that tests need no socket.
 */

export interface ConnectionsOptions<Connection> {
  /** At least 1. */
  readonly max: number;
  readonly close: (connection: Connection) => void;
}

/** One in so many connections may be without a request so far and still not be the first to go. */
const STRANGERS_PART = 4;

export class Connections<Connection> {
  readonly #max: number;
  readonly #close: (connection: Connection) => void;
  readonly #open = new Set<Connection>();
  /** Those that never had a request, longest waiting first. A head that is still arriving counts as none. */
  readonly #strangers = new Set<Connection>();
  /** Those that wait for their next one, longest waiting first. */
  readonly #idle = new Set<Connection>();

  constructor({ max, close }: ConnectionsOptions<Connection>) {
    this.#max = max;
    this.#close = close;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Counts a new connection in; false when there is no room for it, and the caller closes it. */
  open(connection: Connection): boolean {
    if (this.#open.size >= this.#max) {
      const longest = this.#longestWaiting();
      if (longest === undefined) return false;
      this.closed(longest);
      this.#close(longest);
    }
    this.#open.add(connection);
    this.#strangers.add(connection);
    return true;
  }

  #longestWaiting(): Connection | undefined {
    const [stranger] = this.#strangers;
    const [idle] = this.#idle;
    return this.#strangers.size * STRANGERS_PART > this.#max ? stranger : (idle ?? stranger);
  }

  /** A request of it is under way. */
  begin(connection: Connection): void {
    this.#strangers.delete(connection);
    this.#idle.delete(connection);
  }

  /** It waits for its next request. */
  end(connection: Connection): void {
    if (this.#open.has(connection)) this.#idle.add(connection);
  }

  all(): Iterable<Connection> {
    return this.#open;
  }

  /** Does nothing for one that is not counted. */
  closed(connection: Connection): void {
    this.#open.delete(connection);
    this.#strangers.delete(connection);
    this.#idle.delete(connection);
  }

  closeWaiting(): void {
    for (const connection of [...this.#strangers, ...this.#idle]) {
      this.closed(connection);
      this.#close(connection);
    }
  }

  closeAll(): void {
    for (const connection of this.#open) {
      this.closed(connection);
      this.#close(connection);
    }
  }
}

/**
 * The connections to all receivers. For one origin at most `connectionsMax`, beyond which requests wait in the order of
 * coming; over all origins the idle ones are closed, longest unused first, once more than `socketsMax` are open. That
 * bound is soft by what has a request under way.
 */
import type { Clock } from "../../lib/ambient.ts";
import type { Connection, ConnectionDeps } from "./connection.ts";
import { SOCKET_AGE_MS_MAX } from "./http-client.ts";
import type { Limit } from "./limit.ts";

/** How often connections that idled long enough are looked for, while any idles. */
export const SWEEP_MS = 4000;

export interface ConnectionPoolDeps {
  readonly clock: Clock;
  readonly connectionsMax: number;
  readonly socketsMax: number;
  /** Opens a connection for the tenant; rejects with what `HttpClient.post` may. */
  readonly open: (origin: string, tenant: string, hooks: ConnectionHooks) => Promise<Connection>;
}

/** As `ConnectionDeps` has them. */
export type ConnectionHooks = Pick<ConnectionDeps, "onIdle" | "onClosed">;

interface Waiting {
  readonly isFresh: boolean;
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: unknown) => void;
}

interface Origin {
  readonly name: string;
  /** Latest used last. */
  readonly idle: Connection[];
  readonly busy: Set<Connection>;
  /** In the order of coming. */
  readonly waiting: Set<Waiting>;
  connecting: number;
  /** Of the latest request: who a further connection is opened for. */
  tenant: string;
}

export class ConnectionPool {
  readonly #deps: ConnectionPoolDeps;
  /** In the order of last use, longest unused first. */
  readonly #origins = new Map<string, Origin>();
  /** Connections open or being opened, over all origins. */
  #openCount = 0;
  #cancelSweep: (() => void) | null = null;

  constructor(deps: ConnectionPoolDeps) {
    this.#deps = deps;
  }

  /** Is there one for a request that comes now? */
  hasIdle(name: string): boolean {
    const origin = this.#origins.get(name);
    return origin !== undefined && origin.idle.length > origin.waiting.size;
  }

  /** One that idles, for one request. It comes back by itself. */
  takeIdle(name: string): Connection | undefined {
    const origin = this.#origins.get(name);
    if (origin === undefined) return undefined;
    const connection = this.#popIdle(origin);
    if (connection !== undefined) origin.busy.add(connection);
    return connection;
  }

  /** The next that idles or is opened. `isFresh`: one that carried no request before. */
  wait(name: string, tenant: string, isFresh: boolean, limit: Limit): Promise<Connection> {
    const origin = this.#originOf(name);
    origin.tenant = tenant;
    // Where one had ended, the others that idle will have ended with it.
    if (isFresh) for (const connection of origin.idle.splice(0)) connection.close(null);
    // With its last connection, closed just now, an origin may have been forgotten.
    this.#origins.set(name, origin);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { isFresh, resolve, reject };
      origin.waiting.add(waiting);
      limit.onEnd((reason) => {
        if (!origin.waiting.delete(waiting)) return;
        this.#forgetUnused(origin);
        reject(reason);
      });
      this.#connect(origin);
    });
  }

  /** After its request: to whoever waits, else it idles. */
  #release(origin: Origin, connection: Connection): void {
    origin.busy.delete(connection);
    if (origin.busy.size === 0) {
      this.#origins.delete(origin.name);
      this.#origins.set(origin.name, origin);
    }
    this.#offer(origin, connection);
  }

  /** Ends all requests with the reason. */
  close(reason: unknown): void {
    this.#cancelSweep?.();
    for (const { idle, busy, waiting } of this.#origins.values()) {
      for (const each of waiting) each.reject(reason);
      waiting.clear();
      for (const connection of [...idle, ...busy]) connection.close(reason);
    }
  }

  #originOf(name: string): Origin {
    const known = this.#origins.get(name);
    if (known !== undefined) return known;
    const origin = {
      name,
      idle: [],
      busy: new Set<Connection>(),
      waiting: new Set<Waiting>(),
      connecting: 0,
      tenant: "",
    };
    this.#origins.set(name, origin);
    return origin;
  }

  #popIdle(origin: Origin): Connection | undefined {
    const nowMs = this.#deps.clock.monotonic();
    for (;;) {
      const connection = origin.idle.pop();
      if (connection === undefined || this.#isUsable(connection, nowMs)) return connection;
      connection.close(null);
    }
  }

  #isUsable(connection: Connection, nowMs: number): boolean {
    return connection.isOpen && connection.idleUntilMs > nowMs && nowMs - connection.openedAtMs < SOCKET_AGE_MS_MAX;
  }

  #offer(origin: Origin, connection: Connection): void {
    if (!connection.isOpen || !this.#isYoung(connection)) {
      connection.close(null);
      return this.#connect(origin);
    }
    for (const waiting of origin.waiting) {
      if (waiting.isFresh && connection.requestCount > 0) continue;
      origin.waiting.delete(waiting);
      origin.busy.add(connection);
      return waiting.resolve(connection);
    }
    // Those who still wait want a fresh one, and this one has its place.
    if (origin.waiting.size > origin.connecting) return connection.close(null);
    origin.idle.push(connection);
    this.#closeIdleBeyondMax();
    this.#cancelSweep ??= this.#deps.clock.timer(SWEEP_MS, () => this.#sweep());
  }

  #isYoung(connection: Connection): boolean {
    return this.#deps.clock.monotonic() - connection.openedAtMs < SOCKET_AGE_MS_MAX;
  }

  /** Opens connections for those who wait, within the bound; each goes to whoever is first by then. */
  #connect(origin: Origin): void {
    while (origin.connecting < origin.waiting.size && this.#countOf(origin) < this.#deps.connectionsMax) {
      origin.connecting += 1;
      this.#openCount += 1;
      this.#deps
        .open(origin.name, origin.tenant, {
          onIdle: (connection) => this.#release(origin, connection),
          onClosed: (connection) => this.#closed(origin, connection),
        })
        .then(
          (connection) => this.#opened(origin, connection),
          (error: unknown) => this.#notOpened(origin, error),
        );
    }
    this.#closeIdleBeyondMax();
    this.#forgetUnused(origin);
  }

  #countOf({ idle, busy, connecting }: Origin): number {
    return idle.length + busy.size + connecting;
  }

  #opened(origin: Origin, connection: Connection): void {
    origin.connecting -= 1;
    this.#offer(origin, connection);
  }

  #notOpened(origin: Origin, error: unknown): void {
    origin.connecting -= 1;
    this.#openCount -= 1;
    const [first] = origin.waiting;
    if (first !== undefined) {
      origin.waiting.delete(first);
      first.reject(error);
    }
    this.#connect(origin);
  }

  #closed(origin: Origin, connection: Connection): void {
    this.#openCount -= 1;
    origin.busy.delete(connection);
    const index = origin.idle.indexOf(connection);
    if (index !== -1) origin.idle.splice(index, 1);
    this.#connect(origin);
  }

  #closeIdleBeyondMax(): void {
    for (const { idle } of this.#origins.values()) {
      while (this.#openCount > this.#deps.socketsMax && idle.length > 0) idle.shift()?.close(null);
      if (this.#openCount <= this.#deps.socketsMax) return;
    }
  }

  #sweep(): void {
    this.#cancelSweep = null;
    const nowMs = this.#deps.clock.monotonic();
    let idleCount = 0;
    for (const { idle } of this.#origins.values()) {
      for (const connection of idle.filter((each) => !this.#isUsable(each, nowMs))) connection.close(null);
      idleCount += idle.length;
    }
    if (idleCount > 0) this.#cancelSweep ??= this.#deps.clock.timer(SWEEP_MS, () => this.#sweep());
  }

  #forgetUnused(origin: Origin): void {
    if (this.#countOf(origin) + origin.waiting.size > 0) return;
    if (this.#origins.get(origin.name) === origin) this.#origins.delete(origin.name);
  }
}

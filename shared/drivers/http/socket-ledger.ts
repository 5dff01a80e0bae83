/**
 * Which sockets are open for which origin, so that idle ones neither pile up nor grow old: undici bounds the sockets of
 * one origin, but not their number over all origins; and its own bound on age (`clientTtl`) reads the clock for every
 * socket of the origin on every request, which took a quarter of the throughput at 64 sockets.
 */
import type { Socket } from "node:net";

import type { Clock } from "../../lib/ambient.ts";

export interface OriginUse {
  readonly origin: string;
  /** Of the latest request: who a further socket is opened for. */
  tenant: string;
  /** Requests between `begin` and `end`. */
  activeCount: number;
  /** Oldest first. */
  readonly sockets: Map<Socket, Opened>;
}

export interface SocketState {
  /** Carries no request now. */
  isIdle(): boolean;
}

interface Opened {
  /** Ms of `Clock.monotonic`. */
  readonly atMs: number;
  readonly state: SocketState;
}

export interface SocketLedger {
  /** Counts a request in. When it is the origin's only one, its idle sockets that are too old are closed first. */
  begin(origin: string, tenant: string): OriginUse;
  end(use: OriginUse): void;
  /** Is a socket of the origin free for one more request, as far as the counts tell? */
  hasIdle(origin: string): boolean;
  /** Closes those of the origin that carry no request. */
  closeIdle(origin: string): void;
  /** Whose request an origin's next socket is for; nobody's when all requests have ended meanwhile. */
  tenantOf(origin: string): string;
  /**
   * Records a socket. When more than the maximum are open, closes the sockets of origins that have no request under
   * way, longest unused first. Origins with a request keep theirs, so the bound is soft by what the callers have in
   * flight.
   */
  opened(origin: string, socket: Socket, state: SocketState): void;
}

/** No tenant has this name. */
const NOBODY = "";

export function createSocketLedger(options: {
  readonly clock: Clock;
  readonly socketsMax: number;
  readonly ageMsMax: number;
}): SocketLedger {
  const { clock, socketsMax, ageMsMax } = options;
  /** In the order of last use: an origin goes to the end when its last request ends. */
  const uses = new Map<string, OriginUse>();
  let open = 0;

  function useOf(origin: string, tenant: string): OriginUse {
    const known = uses.get(origin);
    if (known !== undefined) return known;
    const use = { origin, tenant, activeCount: 0, sockets: new Map<Socket, Opened>() };
    uses.set(origin, use);
    return use;
  }

  function forget(use: OriginUse, socket: Socket): void {
    if (use.sockets.delete(socket)) open -= 1;
    if (use.sockets.size === 0 && use.activeCount === 0 && uses.get(use.origin) === use) uses.delete(use.origin);
  }

  function close(use: OriginUse, socket: Socket): void {
    forget(use, socket);
    socket.destroy();
  }

  function closeIdle(): void {
    for (const use of uses.values()) {
      if (open <= socketsMax) return;
      if (use.activeCount > 0) continue;
      for (const socket of use.sockets.keys()) close(use, socket);
    }
  }

  function closeAged(use: OriginUse): void {
    const bornAfterMs = clock.monotonic() - ageMsMax;
    for (const [socket, { atMs }] of use.sockets) {
      if (atMs > bornAfterMs) return;
      close(use, socket);
    }
  }

  return {
    begin(origin, tenant) {
      const use = useOf(origin, tenant);
      use.tenant = tenant;
      use.activeCount += 1;
      if (use.activeCount === 1 && use.sockets.size > 0) closeAged(use);
      return use;
    },
    end(use) {
      use.activeCount -= 1;
      if (use.activeCount > 0) return;
      uses.delete(use.origin);
      if (use.sockets.size > 0) uses.set(use.origin, use);
    },
    hasIdle(origin) {
      const use = uses.get(origin);
      return use !== undefined && use.sockets.size > use.activeCount;
    },
    closeIdle(origin) {
      const use = uses.get(origin);
      if (use === undefined) return;
      for (const [socket, { state }] of use.sockets) if (state.isIdle()) close(use, socket);
    },
    tenantOf: (origin) => uses.get(origin)?.tenant ?? NOBODY,
    opened(origin, socket, state) {
      const use = useOf(origin, NOBODY);
      use.sockets.set(socket, { atMs: clock.monotonic(), state });
      open += 1;
      socket.once("close", () => forget(use, socket));
      if (open > socketsMax) closeIdle();
    },
  };
}

/**
 * Stops calling what keeps failing. Closed: calls pass. Open: none until the probe is due. Half-open: exactly one call
 * passes and decides. The wait for a probe grows each time one fails. Time is an argument of every call.
 */

export type BreakerState = "closed" | "open" | "half-open";

export interface BreakerSettings {
  /** Failures in a row that open it. */
  readonly failuresToOpen: number;
  /**
   * How long to wait for a probe of what was well: a call succeeded since it was last down until `probeAfterMsMax`.
   * It may come back in a moment, or have failed by chance, so the wait begins lower and grows less. Left out: as for
   * all others.
   */
  readonly afterWell?: { readonly probeAfterMs: number; readonly growth: number };
  readonly probeAfterMs: number;
  readonly probeAfterMsMax: number;
}

export interface CircuitBreaker {
  state(): BreakerState;
  /** True when a call may be made now. In `open` past the probe's time it turns half-open and grants that one call. */
  permits(nowMs: number): boolean;
  /** Would `permits` say yes? Changes nothing. */
  isPassable(nowMs: number): boolean;
  /** When the next probe is due, epoch ms; 0 while closed. */
  probeAtMs(): number;
  /** A granted call succeeded. True when this closed the breaker. */
  succeed(): boolean;
  /** A granted call failed. True when this opened the breaker. */
  fail(nowMs: number): boolean;
  /** A granted call ended without telling anything (aborted); a probe may be made again. */
  forget(): void;
}

export function createCircuitBreaker(settings: BreakerSettings): CircuitBreaker {
  let state: BreakerState = "closed";
  let failures = 0;
  /** It succeeded since it was last down for long. */
  let wasWell = false;
  const others = { probeAfterMs: settings.probeAfterMs, growth: 2 };
  let probeAfterMs = settings.probeAfterMs;
  let probeAtMs = 0;

  return {
    state: () => state,
    probeAtMs: () => probeAtMs,
    isPassable: (nowMs) => state === "closed" || (state === "open" && nowMs >= probeAtMs),
    permits(nowMs) {
      if (state === "closed") return true;
      if (state === "half-open" || nowMs < probeAtMs) return false;
      state = "half-open";
      return true;
    },
    succeed() {
      failures = 0;
      wasWell = true;
      // A call from before the breaker opened says that the endpoint answered once more, not that it is well.
      if (state !== "half-open") return false;
      state = "closed";
      probeAtMs = 0;
      return true;
    },
    fail(nowMs) {
      failures += 1;
      if (state === "open") return false;
      if (state === "closed" && failures < settings.failuresToOpen) return false;
      const pace = wasWell ? (settings.afterWell ?? others) : others;
      probeAfterMs =
        state === "closed"
          ? pace.probeAfterMs
          : Math.min(Math.ceil(probeAfterMs * pace.growth), settings.probeAfterMsMax);
      if (probeAfterMs === settings.probeAfterMsMax) wasWell = false;
      state = "open";
      probeAtMs = nowMs + probeAfterMs;
      return true;
    },
    forget() {
      if (state === "half-open") state = "open";
    },
  };
}

/**
 * Time, chance and hashing as arguments. The real ones live in `drivers/system.ts` alone; the simulation brings its own.
 * Nothing below layer 3 reads a clock, a random source or a hash in any other way.
 */

/** Cancels what it was returned for; calling it twice, or after the callback ran, does nothing. */
export type Cancel = () => void;

export interface Clock {
  /** Milliseconds since the Unix epoch; may step when the machine's clock is set. */
  now(): number;
  /** Milliseconds from an arbitrary start, fractional, never backwards; for durations only. */
  monotonic(): number;
  /** Runs `callback` once after `ms` (0 to 2^31-1; more is clamped) unless cancelled. */
  timer(ms: number, callback: () => void): Cancel;
  /** Runs `callback` after the I/O and promises at hand; the tick that collects a batch. */
  soon(callback: () => void): void;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** A signal that aborts with `DeadlineExceeded` after `ms`, or with the parent's reason. Dispose it to free the timer. */
  deadline(ms: number, parent?: AbortSignal): Deadline;
  /**
   * Told when the process is found to have stood still (suspended, stopped, starved), before any timer that fell due
   * meanwhile: others may have taken over what it held. Must not throw.
   */
  onStandstill(listener: StandstillListener): Cancel;
}

/**
 * `ms`: for how long at least. `isSure` is false when only the time of day went ahead, as it does while a machine sleeps,
 * and also when it is set.
 */
export type StandstillListener = (ms: number, isSure: boolean) => void;

export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** The reason of a signal that `Clock.deadline` aborted for time. */
export class DeadlineExceeded extends Error {
  readonly afterMs: number;
  constructor(afterMs: number) {
    super(`deadline of ${afterMs} ms exceeded`);
    this.name = "DeadlineExceeded";
    this.afterMs = afterMs;
  }
}

export interface Entropy {
  /** `count` unpredictable bytes (1 to 65,536), fit for keys and secrets. */
  bytes(count: number): Uint8Array<ArrayBuffer>;
  /** A number in [0, 1); for jitter only, never for secrets. */
  fraction(): number;
}

/** Synchronous on purpose: a virtual clock must not outrun a thread pool (style.md rule 3). */
export interface Hasher {
  /** SHA-256, 32 bytes. */
  sha256(content: Uint8Array | string): Uint8Array;
  /** HMAC-SHA-256 (RFC 2104) over the head as UTF-8 and the content behind it, 32 bytes; nothing is joined in memory. */
  hmacSha256(key: Uint8Array, head: string, content: Uint8Array): Uint8Array;
  /** Compares in time that depends on length only; unequal lengths are unequal. */
  isEqual(left: Uint8Array, right: Uint8Array): boolean;
}

/** Sealed bytes that did not open: other bytes, another context or another key. */
export class SealBroken extends Error {
  override readonly name = "SealBroken";
}

/**
 * Authenticated encryption of small secrets at rest (AES-256-GCM, NIST SP 800-38D, fresh 96-bit nonce for each call). One key
 * seals; while keys are changed, further ones open.
 */
export interface Sealer {
  /** `context` is authenticated but not stored: the same words must be given to `open`. */
  seal(plain: Uint8Array, context: string): Uint8Array;
  /** With the key that goes last: the previous one while there is one. */
  sealUntilResealed(plain: Uint8Array, context: string): Uint8Array;
  /** Throws `SealBroken` when the bytes, the context or the key are not those of `seal`. */
  open(sealed: Uint8Array, context: string): Uint8Array;
  /** Does it open with the key that seals? */
  isCurrent(sealed: Uint8Array, context: string): boolean;
  /** Of keys made from these for one purpose, so that what is sealed often does not use up the nonces of these. */
  derived(purpose: string): Sealer;
}

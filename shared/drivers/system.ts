/**
 * The real world behind `lib/ambient.ts`: the machine's clock, its randomness, its hashes. The only file that reads
 * them; everything else takes `Clock`, `Entropy`, `Hasher` and `Sealer` as arguments.
 */
import type { KeyObject } from "node:crypto";
import crypto, {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  randomFillSync,
  timingSafeEqual,
} from "node:crypto";

import type { Cancel, Clock, Deadline, Entropy, Hasher, Sealer } from "../lib/ambient.ts";
import { DeadlineExceeded, SealBroken } from "../lib/ambient.ts";
import { assert } from "../lib/assert.ts";
import { createStandstills } from "../lib/standstills.ts";

/** The longest wait that the runtimes' timers keep; a longer one would fire at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Timers are ordinary ones: while one waits, the process stays alive. Those that fell due while the process stood still
 * wait a moment more, for what came meanwhile: runtimes look at timers first, and answers that lie unread would lose to
 * deadlines that passed since.
 */
const standstills = createStandstills({ wall: () => Date.now(), steady: () => performance.now() });
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: startTimer,
  onStandstill: standstills.listen,
  soon(callback) {
    setImmediate(callback);
  },
  sleep,
  deadline: startDeadline,
};

/** Bytes drawn from the operating system at once; an id takes 10, so one call serves hundreds of ids. */
const POOL_BYTES = 8192;
/** A larger draw bypasses the pool. */
const POOLED_DRAW_BYTES_MAX = 256;
const DRAW_BYTES_MAX = 65_536;

export const systemEntropy: Entropy = createSystemEntropy();

export const systemHasher: Hasher = {
  sha256: sha256InOneCall() ?? ((content) => createHash("sha256").update(content).digest()),
  hmacSha256: (key, head, content) => createHmac("sha256", key).update(head).update(content).digest(),
  isEqual: (left, right) => left.length === right.length && timingSafeEqual(left, right),
};

/** A third of the time of an object that is made, fed and asked. Null before Node 20.12. */
function sha256InOneCall(): Hasher["sha256"] | null {
  const { hash } = crypto as Partial<Pick<typeof crypto, "hash">>;
  return hash === undefined ? null : (content) => hash("sha256", content, "buffer");
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** First byte of all sealed bytes; another layout or cipher will take another number. */
const SEAL_VERSION = 1;
const HEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;

/**
 * AES-256-GCM under keys of exactly 32 bytes (NIST SP 800-38D). Layout: version byte, nonce, tag, ciphertext; 29
 * bytes more than the plain text. The version byte and the context are authenticated. Nonces are random, so one key
 * should seal fewer than 2^32 secrets (section 8.3).
 */
export function createSealer(masterKey: Uint8Array, further: FurtherKeys = {}): Sealer {
  const key = secretKey(masterKey);
  const derive = (bytes: Uint8Array, purpose: string): Uint8Array =>
    systemHasher.hmacSha256(bytes, purpose, new Uint8Array());
  const previous = further.previous == null ? null : secretKey(further.previous);
  const next = further.next == null ? null : secretKey(further.next);
  const openers = [key, previous, next].filter((each) => each !== null);
  return {
    seal: (plain, context) => sealWith(key, plain, context),
    sealUntilResealed: (plain, context) => sealWith(previous ?? key, plain, context),
    open(sealed, context) {
      if (sealed.length < HEAD_BYTES || sealed[0] !== SEAL_VERSION) {
        throw new SealBroken(`not sealed bytes of version ${SEAL_VERSION}`);
      }
      let failure: unknown;
      // The tag tells whose they are: another key opens them once in 2^128 tries.
      for (const opener of openers) {
        try {
          return openWith(opener, sealed, context);
        } catch (cause) {
          failure = cause;
        }
      }
      throw new SealBroken("the sealed bytes do not open: other bytes, another context or another key", {
        cause: failure,
      });
    },
    isCurrent(sealed, context) {
      if (sealed.length < HEAD_BYTES || sealed[0] !== SEAL_VERSION) return false;
      try {
        openWith(key, sealed, context);
        return true;
      } catch {
        return false;
      }
    },
    derived: (purpose) =>
      createSealer(derive(masterKey, purpose), {
        previous: further.previous == null ? null : derive(further.previous, purpose),
        next: further.next == null ? null : derive(further.next, purpose),
      }),
  };
}

/** Keys that open and do not seal, while the master key is changed: the one before, and the one that is to come. */
export interface FurtherKeys {
  readonly previous?: Uint8Array | null;
  readonly next?: Uint8Array | null;
}

function secretKey(bytes: Uint8Array): KeyObject {
  assert(bytes.length === KEY_BYTES, `a master key has ${KEY_BYTES} bytes`);
  return createSecretKey(bytes);
}

function sealWith(key: KeyObject, plain: Uint8Array, context: string): Uint8Array {
  const nonce = systemEntropy.bytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData(context));
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  return joinBytes([Uint8Array.of(SEAL_VERSION), nonce, cipher.getAuthTag(), ciphertext]);
}

/** Throws for other bytes, another context or another key. */
function openWith(key: KeyObject, sealed: Uint8Array, context: string): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, 1 + NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(associatedData(context));
  decipher.setAuthTag(sealed.subarray(1 + NONCE_BYTES, HEAD_BYTES));
  return joinBytes([decipher.update(sealed.subarray(HEAD_BYTES)), decipher.final()]);
}

function startTimer(ms: number, callback: () => void): Cancel {
  const waitMs = Math.min(Math.max(0, ms), TIMER_MS_MAX);
  const dueAtMs = performance.now() + waitMs;
  let handle = setTimeout(() => {
    const graceMs = standstills.graceMs(dueAtMs);
    if (graceMs === 0) callback();
    else handle = setTimeout(callback, graceMs);
  }, waitMs);
  return () => clearTimeout(handle);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const cancel = startTimer(ms, () => {
      signal.removeEventListener("abort", wake);
      resolve();
    });
    function wake(): void {
      cancel();
      reject(signal.reason);
    }
    signal.addEventListener("abort", wake, { once: true });
  });
}

function startDeadline(ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  if (parent?.aborted === true) {
    controller.abort(parent.reason);
    return { signal: controller.signal, [Symbol.dispose]: () => undefined };
  }
  const dispose = (): void => {
    cancel();
    parent?.removeEventListener("abort", follow);
  };
  const cancel = startTimer(ms, () => {
    dispose();
    controller.abort(new DeadlineExceeded(ms));
  });
  function follow(): void {
    dispose();
    controller.abort(parent?.reason);
  }
  parent?.addEventListener("abort", follow, { once: true });
  return { signal: controller.signal, [Symbol.dispose]: dispose };
}

/** Bytes leave the pool by copy and are wiped from it, so that memory holds no id or nonce before or after its use. */
function createSystemEntropy(): Entropy {
  const pool = new Uint8Array(POOL_BYTES);
  let at = POOL_BYTES;
  return {
    bytes(count) {
      assert(
        Number.isInteger(count) && count >= 1 && count <= DRAW_BYTES_MAX,
        `1 to ${DRAW_BYTES_MAX} bytes are drawn`,
      );
      if (count > POOLED_DRAW_BYTES_MAX) return randomFillSync(new Uint8Array(count));
      if (at + count > POOL_BYTES) {
        randomFillSync(pool);
        at = 0;
      }
      const drawn = pool.slice(at, at + count);
      pool.fill(0, at, at + count);
      at += count;
      return drawn;
    },
    fraction: () => Math.random(),
  };
}

function associatedData(context: string): Uint8Array {
  return joinBytes([Uint8Array.of(SEAL_VERSION), Buffer.from(context, "utf8")]);
}

/** A plain Uint8Array on its own memory, whatever kind of view the parts are. */
function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Real hashing and seeded chance for tests of pure code: the same seed gives the same bytes on each runtime. */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";

export const testHasher: Hasher = {
  sha256: (content) => new Uint8Array(createHash("sha256").update(content).digest()),
  hmacSha256: (key, head, content) => new Uint8Array(createHmac("sha256", key).update(head).update(content).digest()),
  isEqual: (left, right) => left.length === right.length && timingSafeEqual(left, right),
};

/** Chance by xorshift32 (Marsaglia 2003) from a whole number; good enough to look random, never for secrets. */
export function seededEntropy(seed: number): Entropy {
  // A multiplication spreads neighbouring seeds; zero is the one state that xorshift never leaves.
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return {
    bytes: (count) => {
      const bytes = new Uint8Array(count);
      for (let at = 0; at < count; at++) bytes[at] = next() >>> 24;
      return bytes;
    },
    fraction: () => next() / 2 ** 32,
  };
}

/** Waits with jitter are their plain doubled selves. */
export const plainChance: Entropy = { bytes: (count) => new Uint8Array(count), fraction: () => 0.5 };

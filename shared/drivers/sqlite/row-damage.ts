/** Rows that were edited by hand into what none of ours is: each costs itself. */
import type { PosthasteError } from "../../domain/errors.ts";
import { isDamage, storeFault } from "../../domain/errors.ts";

/** Mended by hand, if at all. */
const AGAIN_S = 60;

/** `what` is a sentence without its full stop, for the log. */
export function rowDamaged(what: string, cause?: unknown): PosthasteError {
  const full = `${what}; it costs itself until an operator mends or removes it.`;
  return storeFault(full, { retryAfterS: AGAIN_S, isDamage: true, cause });
}

/** What `read` gives, or null for a row that does not read back, of which `told` hears. */
export function readable<Value>(read: () => Value, told: (error: unknown) => void = () => undefined): Value | null {
  try {
    return read();
  } catch (error) {
    if (!isDamage(error)) throw error;
    told(error);
    return null;
  }
}

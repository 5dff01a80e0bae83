/** Rows that were edited by hand into what none of ours is: each costs itself. */
import { PosthasteError, isDamage } from "../../domain/errors.ts";

/** Mended by hand, if at all. */
const AGAIN_S = 60;

/** `detail` is a sentence without its full stop. */
export function rowDamaged(detail: string, cause?: unknown): PosthasteError {
  const full = `${detail}; it costs itself until an operator mends or removes it.`;
  return new PosthasteError("store-unavailable", { detail: full, retryAfterS: AGAIN_S, isDamage: true }, cause);
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

/**
 * The `Idempotency-Key` header: a Structured Field String (RFC 9651 section 3.3.3; ietf-wg-httpapi Idempotency-Key draft,
 * 2025-02-26) or, as many clients send it, the bare text. 1 to 255 visible ASCII characters either way.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";

const IDEMPOTENCY_KEY_LENGTH_MAX = 255;

const quotedForm = /^"((?:[!#-[\]-~]|\\["\\])+)"$/;
const bareForm = /^[!#-~]+$/;

/** Null when there is none. Quoted and bare forms of one text are one key. Throws `invalid-header`. */
export function idempotencyKeyOf(headers: Headers): string | null {
  const value = headers.get("idempotency-key");
  if (value === null) return null;
  const quoted = quotedForm.exec(value)?.[1];
  const key = quoted === undefined ? value : quoted.replaceAll(/\\(.)/g, "$1");
  const isWellFormed = quoted !== undefined || bareForm.test(value);
  if (isWellFormed && key.length <= IDEMPOTENCY_KEY_LENGTH_MAX) return key;
  const detail = `must be 1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} visible ASCII characters, best in double quotes`;
  throw new PosthasteError("invalid-header", {
    detail: `The Idempotency-Key header ${detail}.`,
    errors: [{ header: "idempotency-key", detail }],
  });
}

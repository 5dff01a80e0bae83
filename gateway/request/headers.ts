/** What the fields of a request's head mean: Content-Encoding, Content-Type, Idempotency-Key, the host. */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { InboundHeaders, InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";

export type BodyForm = "json" | "cloudevent";

const JSON_TYPE = "application/json";
const CLOUD_EVENT_TYPE = "application/cloudevents+json";
const utf8Charset = /^\s*charset\s*=\s*"?utf-8"?\s*$/i;

/**
 * Which form the body has (RFC 9110 section 8.3; CloudEvents HTTP binding section 3). The only parameter that is allowed
 * is `charset=utf-8`; an empty one is none (RFC 9110 section 5.6.6). Throws `unsupported-media-type`.
 */
export function bodyFormOf(request: InboundRequest, takesCloudEvents: boolean): BodyForm {
  const value = request.headers.get("content-type");
  if (value === JSON_TYPE) return "json";
  const [media = "", ...parameters] = (value ?? "").split(";");
  const type = media.trim().toLowerCase();
  if (parameters.every((parameter) => parameter.trim() === "" || utf8Charset.test(parameter))) {
    if (type === JSON_TYPE) return "json";
    if (takesCloudEvents && type === CLOUD_EVENT_TYPE) return "cloudevent";
  }
  throw new PosthasteError("unsupported-media-type", refusal(type, takesCloudEvents));
}

function refusal(type: string, takesCloudEvents: boolean): string {
  if (type.startsWith("application/cloudevents-batch")) {
    return "CloudEvents batches are not taken; POST each event, or use /v1/events/batch with application/json.";
  }
  const accepted = takesCloudEvents ? `${JSON_TYPE} or ${CLOUD_EVENT_TYPE}` : JSON_TYPE;
  return `Send ${accepted}, in UTF-8.`;
}

/**
 * Bodies are taken as they are: an unpacked one has no size that its sender declared. The answer says which codings would
 * do (RFC 9110 section 15.5.16, RFC 7694). Throws `unsupported-media-type`.
 */
export function requireNoCoding(headers: InboundHeaders): void {
  const codings = headers.get("content-encoding");
  if (codings === null || codings.trim().toLowerCase() === "identity") return;
  throw new PosthasteError("unsupported-media-type", {
    detail: "Send the body without Content-Encoding: compressed bodies are not taken.",
    errors: [{ header: "content-encoding", detail: "must be absent or identity" }],
    headers: { "accept-encoding": "identity" },
  });
}

const IDEMPOTENCY_KEY_LENGTH_MAX = 255;

const quotedForm = /^"((?:[!#-[\]-~]|\\["\\])+)"$/;
const bareForm = /^[!#-~]+$/;

/**
 * A Structured Field String (RFC 9651 section 3.3.3; ietf-wg-httpapi Idempotency-Key draft, 2025-02-26) or, as many
 * clients send it, the bare text: 1 to 255 visible ASCII characters either way. Quoted and bare forms of one text are one
 * key. Null when there is none. Throws `invalid-header`.
 */
export function idempotencyKeyOf(headers: InboundHeaders): string | null {
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

/** Where this gateway is, as who asks names it, or the proxy in between. */
export function originOf(headers: Pick<InboundHeaders, "get">): string {
  const host = headers.get("x-forwarded-host") ?? headers.get("host") ?? "127.0.0.1:8080";
  return `${headers.get("x-forwarded-proto") === "https" ? "https" : "http"}://${host}`;
}

/**
 * Verifies what Posthaste, or any other sender by Standard Webhooks 1.0.0, has sent: `v1` signatures, HMAC-SHA-256 over
 * `{webhook-id}.{webhook-timestamp}.{body}`, the body as the bytes that came.
 */
import { hmacSha256, runtimeSurroundings } from "./surroundings.ts";

export interface VerifyOptions {
  /** `whsec_...`; during a rotation the new one and the old, 8 at most. A signature by any of them is enough. */
  readonly secret: string | readonly string[];
  /** How far the sender's clock may be from this one, both ways: 1 to 3,600 seconds, 300 by default. */
  readonly toleranceS?: number | undefined;
  /** Milliseconds since 1970; the runtime's clock by default. */
  readonly now?: (() => number) | undefined;
}

/** The web's `Headers`, or names and values as Node gives them; case does not matter. */
export type HeadersLike =
  | { readonly get: (name: string) => string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** One event that arrived. */
export interface WebhookEvent {
  /** The same on every attempt and replay: keep it, and know it when it comes again. */
  readonly id: string;
  readonly type: string;
  /** When it happened, RFC 3339. */
  readonly timestamp: string;
  readonly data: unknown;
}

/** One POST that is genuine and of now. */
export interface Webhook {
  /** `batch`: several LOW events in one POST, answered by one status. */
  readonly form: "single" | "batch";
  /** `webhook-id`: of the event, or of the batch. */
  readonly id: string;
  /** When this attempt was signed, in seconds since 1970. */
  readonly signedAtS: number;
  /** One, or those of the batch in its order. */
  readonly events: readonly WebhookEvent[];
}

export type RefusalCode =
  | "missing-header"
  | "invalid-timestamp"
  | "too-old"
  | "too-new"
  | "invalid-signature"
  | "no-signature-fits"
  | "invalid-body";

/** The request is not to be believed: answer 401, or 400 for `invalid-body`, which somebody signed. */
export class RefusedWebhookError extends Error {
  override readonly name = "RefusedWebhookError";
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

const BATCH_TYPE = "posthaste.batch";
const SECRETS_MAX = 8;
/** Signatures of one header that are looked at; a longer list is refused before anything is hashed. */
const SIGNATURES_MAX = 16;
const TOLERANCE_S = 300;
const TOLERANCE_S_MAX = 3600;
/** Bounds of a key in bytes (Standard Webhooks 1.0.0, "Symmetric"). */
const KEY_BYTES_MIN = 24;
const KEY_BYTES_MAX = 64;
const SECRET = /^whsec_((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;
const SIGNATURE = /^v1,([A-Za-z0-9+/]{43}=)$/;
const TIMESTAMP = /^(?:0|[1-9]\d{0,11})$/;

/**
 * The body as it came, in bytes or as text that no one has parsed. Rejects with `RefusedWebhookError` for what is not
 * genuine, and with a `TypeError` for what is wrong on this side: a secret, or a body that was parsed already.
 */
export async function verify(
  body: string | Uint8Array | ArrayBuffer,
  headers: HeadersLike,
  options: VerifyOptions,
): Promise<Webhook> {
  const { now = runtimeSurroundings.clock.now } = options;
  const bytes = bytesOf(body);
  const keys = keysOf(options.secret);
  const id = fieldOf(headers, "webhook-id");
  const timestamp = fieldOf(headers, "webhook-timestamp");
  const signedAtS = signedAtOf(timestamp, now() / 1000, toleranceOf(options));
  const given = signaturesIn(fieldOf(headers, "webhook-signature"));
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const message = new Uint8Array(head.length + bytes.length);
  message.set(head);
  message.set(bytes, head.length);
  const expected = await Promise.all(keys.map((key) => signatureOf(key, message)));
  let isGenuine = false;
  for (const one of expected) {
    for (const other of given) isGenuine = isSame(one, other) || isGenuine;
  }
  if (!isGenuine) {
    const detail = "no signature fits: another secret made it, or the body or a header is not as it was sent";
    throw new RefusedWebhookError("no-signature-fits", detail);
  }
  return webhookOf(id, signedAtS, bytes);
}

function bytesOf(body: unknown): Uint8Array {
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  throw new TypeError("give the body as it came, as bytes or text: what was parsed and written again has other bytes");
}

function keysOf(secret: string | readonly string[]): readonly Uint8Array<ArrayBuffer>[] {
  const secrets = typeof secret === "string" ? [secret] : secret;
  if (secrets.length === 0) throw new TypeError("no secret was given");
  if (secrets.length > SECRETS_MAX) throw new TypeError(`more than ${SECRETS_MAX} secrets were given`);
  return secrets.map((text) => {
    const [, base64] = SECRET.exec(text) ?? [];
    if (base64 === undefined)
      throw new TypeError("a secret is whsec_ followed by padded base64, without anything else");
    const key = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    if (key.length >= KEY_BYTES_MIN && key.length <= KEY_BYTES_MAX) return key;
    throw new TypeError(`a secret holds ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes, and this one ${key.length}`);
  });
}

/** An empty one is as good as none. One that came several times is not, and fits no signature. */
function fieldOf(headers: HeadersLike, name: string): string {
  const value = typeof headers.get === "function" ? headers.get(name) : ownField(headers, name);
  if (typeof value === "string" && value !== "") return value;
  throw new RefusedWebhookError("missing-header", `the header ${name} is missing`);
}

function ownField(headers: object, name: string): unknown {
  return Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
}

function toleranceOf({ toleranceS = TOLERANCE_S }: VerifyOptions): number {
  if (toleranceS >= 1 && toleranceS <= TOLERANCE_S_MAX) return toleranceS;
  throw new TypeError(`toleranceS must be a number from 1 to ${TOLERANCE_S_MAX}`);
}

function signedAtOf(timestamp: string, nowS: number, toleranceS: number): number {
  if (!TIMESTAMP.test(timestamp)) {
    throw new RefusedWebhookError("invalid-timestamp", "the header webhook-timestamp is no time in whole seconds");
  }
  const ageS = nowS - Number(timestamp);
  if (Math.abs(ageS) <= toleranceS) return Number(timestamp);
  const code = ageS > 0 ? "too-old" : "too-new";
  const where = ageS > 0 ? "past" : "future";
  throw new RefusedWebhookError(code, `the header webhook-timestamp is more than ${toleranceS} s in the ${where}`);
}

/** Signatures of other schemes are passed over: a sender may add some that are not known here. */
function signaturesIn(field: string): readonly string[] {
  const listed = field.split(" ", SIGNATURES_MAX + 1);
  const known = listed.flatMap((text) => SIGNATURE.exec(text)?.[1] ?? []);
  if (listed.length <= SIGNATURES_MAX && known.length > 0) return known;
  const detail = known.length === 0 ? "holds no v1 signature" : `lists more than ${SIGNATURES_MAX} signatures`;
  throw new RefusedWebhookError("invalid-signature", `the header webhook-signature ${detail}`);
}

async function signatureOf(key: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>): Promise<string> {
  return btoa(String.fromCharCode(...(await hmacSha256(key, message))));
}

/** In a time that does not depend on where they differ. Both are of 44 characters: the header is read for no others. */
function isSame(one: string, other: string): boolean {
  let difference = 0;
  for (let place = 0; place < one.length; place++) difference |= one.charCodeAt(place) ^ other.charCodeAt(place);
  return difference === 0;
}

function webhookOf(id: string, signedAtS: number, bytes: Uint8Array): Webhook {
  const body = parsed(bytes);
  if (!isPayload(body)) throw invalidBody("is no event: an object with type, timestamp and data");
  const { type, timestamp, data } = body;
  if (type !== BATCH_TYPE) return { form: "single", id, signedAtS, events: [{ id, type, timestamp, data }] };
  if (!Array.isArray(data) || !data.every(isMember))
    throw invalidBody("is no batch: its data is a list of events with ids");
  return { form: "batch", id, signedAtS, events: data };
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw invalidBody("is no JSON");
  }
}

function isPayload(body: unknown): body is Omit<WebhookEvent, "id"> {
  if (typeof body !== "object" || body === null) return false;
  const { type, timestamp } = body as Partial<WebhookEvent>;
  return typeof type === "string" && typeof timestamp === "string" && "data" in body;
}

function isMember(body: unknown): body is WebhookEvent {
  return isPayload(body) && "id" in body && typeof body.id === "string";
}

function invalidBody(detail: string): RefusedWebhookError {
  return new RefusedWebhookError("invalid-body", `the body ${detail}, though its signature fits`);
}

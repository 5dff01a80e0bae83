/**
 * What is refused before any handler is asked: what the parser cannot take, and heads that HTTP forbids though
 * the parser lets them pass. One table from the parser's codes to our errors; each answer ends the connection, since
 * nobody knows where the next request would begin (RFC 9112 section 9.6).
 */
import { PosthasteError } from "../../../domain/errors.ts";
import type { RequestHead } from "./request-parser.ts";
import { HEAD_BYTES_MAX } from "./request-parser.ts";

/** Fields of a head. */
export const FIELDS_MAX = 200;
/** From a head's first byte to its last. */
export const HEAD_MS_MAX = 10_000;

const CLOSE = { connection: "close" };

const httpOnly = "Send HTTP/1.1 as RFC 9112 writes it; what stood here is not one request.";

const NO_SUCH_VERSION = refuse("version-not-supported", "Send HTTP/1.1 or HTTP/1.0.");
/** The parser has one code for a version that it does not know and for a line that is written otherwise. */
const UNKNOWN_VERSION = "Invalid HTTP version";
const BROKEN_LINE = refuse(
  "invalid-request",
  "The request line must be a method, a target and HTTP/1.1 with one space between them, and end with CR LF alone.",
);

const refusalByCode: Readonly<Record<string, PosthasteError>> = {
  HPE_HEADER_OVERFLOW: refuse("head-too-large", `Line and fields may have at most ${HEAD_BYTES_MAX} bytes together.`),
  HPE_INVALID_VERSION: BROKEN_LINE,
  HPE_PAUSED_H2_UPGRADE: NO_SUCH_VERSION,
  HPE_INVALID_METHOD: refuse("invalid-request", "The request line begins with no method that is known."),
  HPE_UNEXPECTED_CONTENT_LENGTH: refuse(
    "invalid-request",
    "Content-Length must be there once, as one number of bytes.",
  ),
  HPE_INVALID_CONTENT_LENGTH: refuse("invalid-request", "Content-Length must be there once, as one number of bytes."),
  HPE_INVALID_TRANSFER_ENCODING: refuse(
    "invalid-request",
    "Transfer-Encoding must be chunked alone, and not stand beside Content-Length.",
  ),
  HPE_INVALID_CHUNK_SIZE: refuse(
    "invalid-request",
    "The chunks of the body are not written as RFC 9112 section 7.1 says.",
  ),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: refuse("body-too-large", "The extensions of a chunk are too long; leave them out."),
  HPE_INVALID_EOF_STATE: refuse("invalid-request", "The request ended before it was complete."),
};

export function refusalOfParser(error: Error): PosthasteError {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const isUnknownVersion = "reason" in error && error.reason === UNKNOWN_VERSION;
  if (isUnknownVersion) return NO_SUCH_VERSION;
  return refusalByCode[code] ?? NOT_HTTP;
}

const NOT_HTTP = refuse("invalid-request", httpOnly);

export const LATE = refuse(
  "request-timeout",
  `The request did not arrive in time; its head has ${HEAD_MS_MAX / 1000} s.`,
);

export const NO_ROOM = new PosthasteError("overloaded", {
  detail:
    "Every connection that this process may hold has a request under way; send this one again as Retry-After says.",
  retryAfterS: 1,
  headers: CLOSE,
});

const UNKNOWN_EXPECTATION = new PosthasteError("expectation-failed", {
  detail: "Expect may be 100-continue, and nothing else; leave it out.",
  errors: [{ header: "expect", detail: "must be 100-continue" }],
  headers: CLOSE,
});

const NO_TUNNEL = new PosthasteError("method-not-allowed", {
  detail: "CONNECT asks for a proxy, which this is not.",
  headers: { ...CLOSE, allow: "GET, HEAD, OPTIONS, POST, PATCH, DELETE" },
});

const UNKNOWN_CODING = refuse("transfer-coding-not-supported", "The only transfer coding that is taken is chunked.");
const TOO_MANY_FIELDS = refuse("head-too-large", `A request may have at most ${FIELDS_MAX} fields.`);
const NO_CODING_IN_1_0 = refuse("invalid-request", "HTTP/1.0 has no Transfer-Encoding; give Content-Length.");

/** RFC 3986 section 3.2.2, generous: what no host has is white space, a comma of two fields that were joined, or a path. */
const host = /^[A-Za-z0-9._~!$&'()*+;=%:[\]-]*$/;

/**
 * RFC 9112 section 3.2: one Host and no more. Section 6.1: no coding but `chunked`, and none in HTTP/1.0. `url` is what
 * `urlOf` made of the target.
 */
export function checkHead(head: RequestHead, url: string | null): PosthasteError | null {
  const { method, fields, fieldCount, version } = head;
  const isHttp10 = version === "1.0";
  if (version === "other") return NO_SUCH_VERSION;
  if (method === "CONNECT") return NO_TUNNEL;
  if (fieldCount > FIELDS_MAX) return TOO_MANY_FIELDS;
  if (url === null) return NO_RESOURCE;
  const coding = fields["transfer-encoding"];
  if (coding !== undefined && isHttp10) return NO_CODING_IN_1_0;
  if (coding !== undefined && coding.trim().toLowerCase() !== "chunked") return UNKNOWN_CODING;
  const expectation = fields["expect"];
  if (expectation !== undefined && !isHttp10 && expectation.toLowerCase() !== "100-continue")
    return UNKNOWN_EXPECTATION;
  const given = fields["host"];
  if (given === undefined) return isHttp10 ? null : refuseHost("is needed, once");
  return host.test(given) ? null : refuseHost("must be there once, as a host with or without a port");
}

/** The absolute form of the request's target (RFC 9112 section 3.2); null for one that is none of a resource. */
export function urlOf(target: string): string | null {
  if (target.startsWith("/")) return `http://localhost${target}`;
  // Handlers parse it, as they may.
  return /^https?:\/\/[^/?#]/i.test(target) && URL.canParse(target) ? target : null;
}

const NO_RESOURCE = refuse("invalid-request", "The request's target must be a path, or an http URL.");

function refuse(code: ConstructorParameters<typeof PosthasteError>[0], detail: string): PosthasteError {
  return new PosthasteError(code, { detail, headers: CLOSE });
}

function refuseHost(detail: string): PosthasteError {
  return new PosthasteError("invalid-header", {
    detail: `The Host header ${detail}.`,
    errors: [{ header: "host", detail }],
    headers: CLOSE,
  });
}

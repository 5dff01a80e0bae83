/**
 * What is refused before any handler is asked: what node:http's parser cannot take, and heads that HTTP forbids though
 * the parser lets them pass. One table from the parser's codes to our errors; each answer ends the connection, since
 * nobody knows where the next request would begin (RFC 9112 section 9.6).
 */
import { STATUS_CODES } from "node:http";
import type { IncomingMessage } from "node:http";
import { ERRORS, PosthasteError } from "../../../domain/errors.ts";
import { problemHeaders, problemOf } from "../../../domain/problem.ts";

/** Bytes of a request's line and fields together. */
export const HEAD_BYTES_MAX = 16 * 1024;
/** From a connection's first byte, or the end of the request before, to the end of a head. */
export const HEAD_MS_MAX = 10_000;

const CLOSE = { connection: "close" };

const httpOnly = "Send HTTP/1.1 as RFC 9112 writes it; what stood here is not one request.";

const refusalByCode: Readonly<Record<string, PosthasteError>> = {
  HPE_HEADER_OVERFLOW: refuse("head-too-large", `Line and fields may have at most ${HEAD_BYTES_MAX} bytes together.`),
  HPE_INVALID_VERSION: refuse("version-not-supported", "Send HTTP/1.1 or HTTP/1.0."),
  HPE_PAUSED_H2_UPGRADE: refuse("version-not-supported", "Send HTTP/1.1 or HTTP/1.0."),
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
  ERR_HTTP_REQUEST_TIMEOUT: refuse(
    "request-timeout",
    `The request did not arrive in time; its head has ${HEAD_MS_MAX / 1000} s.`,
  ),
};

/** Null for a fault of the connection, which nobody is there to be told of. */
export function refusalOfParser(error: unknown): PosthasteError | null {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const known = refusalByCode[code];
  if (known !== undefined) return known;
  return code.startsWith("HPE_") ? refuse("invalid-request", httpOnly) : null;
}

export const NO_ROOM = new PosthasteError("overloaded", {
  detail:
    "Every connection that this process may hold has a request under way; send this one again as Retry-After says.",
  retryAfterS: 1,
  headers: CLOSE,
});

/** Requests of one connection that are not answered yet, one behind the other. */
export const AHEAD_MAX = 32;
/** So many at once are a flood: the connection is cut without a word. */
export const AHEAD_CUT = 128;

export const TOO_FAR_AHEAD = new PosthasteError("overloaded", {
  detail: `Of one connection at most ${AHEAD_MAX} requests may wait for their answers; send this one and those behind it again.`,
  retryAfterS: 1,
  headers: CLOSE,
});

export const UNKNOWN_EXPECTATION = new PosthasteError("expectation-failed", {
  detail: "Expect may be 100-continue, and nothing else; leave it out.",
  errors: [{ header: "expect", detail: "must be 100-continue" }],
  headers: CLOSE,
});

export const NO_TUNNEL = new PosthasteError("method-not-allowed", {
  detail: "CONNECT asks for a proxy, which this is not.",
  headers: { ...CLOSE, allow: "GET, HEAD, OPTIONS, POST, PATCH, DELETE" },
});

const UNKNOWN_CODING = refuse("transfer-coding-not-supported", "The only transfer coding that is taken is chunked.");
const NO_CODING_IN_1_0 = refuse("invalid-request", "HTTP/1.0 has no Transfer-Encoding; give Content-Length.");

/** RFC 3986 section 3.2.2, generous: what no host has is white space, a comma of two fields that were joined, or a path. */
const host = /^[A-Za-z0-9._~!$&'()*+;=%:[\]-]*$/;

/** RFC 9112 section 3.2: one Host and no more. Section 6.1: no coding but `chunked`, and none in HTTP/1.0. */
export function checkHead({ headers, httpVersion }: IncomingMessage): PosthasteError | null {
  const coding = headers["transfer-encoding"];
  if (coding !== undefined) {
    if (httpVersion === "1.0") return NO_CODING_IN_1_0;
    if (coding.trim().toLowerCase() !== "chunked") return UNKNOWN_CODING;
  }
  const given = headers.host;
  if (given === undefined) return httpVersion === "1.0" ? null : refuseHost("is needed, once");
  return host.test(given) ? null : refuseHost("must be there once, as a host with or without a port");
}

/** The absolute form of the request's target (RFC 9112 section 3.2); null for one that is none of a resource. */
export function urlOf(target: string): string | null {
  if (target.startsWith("/")) return `http://localhost${target}`;
  return /^https?:\/\/[^/?#]/i.test(target) ? target : null;
}

export const NO_RESOURCE = refuse("invalid-request", "The request's target must be a path, or an http URL.");

/** A whole answer, for a connection that has no response to write it with. */
export function answerText(error: PosthasteError): string {
  const { status } = ERRORS[error.code];
  const body = JSON.stringify(problemOf(error));
  const fields = { ...problemHeaders(error), "content-length": String(Buffer.byteLength(body)) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${body}`;
}

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

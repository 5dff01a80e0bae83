/**
 * Reads a request's body within its size bound and its time. It must be UTF-8 (RFC 8259 section 8.1); a lenient decoder
 * would write U+FFFD into the event. The depth of JSON is checked before it is parsed.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { scanDepth } from "@posthaste/shared/domain/json-span.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";

/** Most bytes of a body on the management routes: endpoints, keys, replays. */
export const MANAGEMENT_BYTES_MAX = 64 * 1024;

export interface BodyReading {
  readonly request: InboundRequest;
  readonly bytesMax: number;
  /** Called for each piece of a body whose length is not declared; what it throws ends the read. */
  readonly onBytes: (count: number) => void;
  /** Registers the function that ends a read when the request's time is over. */
  readonly onTimeout: (cancel: () => void) => void;
}

/** The declared length, null when it is not declared. Refuses a length that is no number or past the bound. */
export function checkDeclaredLength(request: InboundRequest, bytesMax: number): number | null {
  const declared = request.headers.get("content-length");
  if (declared === null) return null;
  const bytes = Number(declared);
  if (!/^\d{1,15}$/.test(declared)) {
    const errors = [{ header: "content-length", detail: "must be one whole number of bytes" }];
    throw new PosthasteError("invalid-header", { detail: "Content-Length is not a number of bytes.", errors });
  }
  if (bytes > bytesMax) throw tooLarge(bytesMax);
  return bytes;
}

/** How long the body is, by a length that the HTTP server holds it to; null when only its end tells. */
export function framedLength(request: InboundRequest, bytesMax: number): number | null {
  const declared = checkDeclaredLength(request, bytesMax);
  return request.headers.has("transfer-encoding") ? null : declared;
}

export async function readText(reading: BodyReading): Promise<string> {
  const { request, bytesMax } = reading;
  return textOf(
    framedLength(request, bytesMax) !== null ? await readWhole(request) : await readStream(reading),
    bytesMax,
  );
}

/** The text of a body that is here. */
export function textOf(bytes: Uint8Array, bytesMax: number): string {
  if (bytes.length > bytesMax) throw tooLarge(bytesMax);
  return decodeUtf8(bytes);
}

/** Throws `too-deep` and `invalid-json`; a byte order mark is not JSON. */
export function parseJson(text: string, depthMax: number): unknown {
  requireDepth(text, depthMax);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw brokenJson(text);
  }
}

/** Throws `too-deep`. */
export function requireDepth(text: string, depthMax: number): void {
  if (scanDepth(text, depthMax)) return;
  throw new PosthasteError("too-deep", `Objects and lists may stand at most ${depthMax} deep inside one another.`);
}

export function brokenJson(text: string): PosthasteError {
  return new PosthasteError("invalid-json", describeBroken(text));
}

function describeBroken(text: string): string {
  if (text.trim() === "") return "The body is empty; send one JSON text.";
  if (text.startsWith("\uFEFF")) return "The body begins with a byte order mark; send JSON without one.";
  return "The body is not one complete JSON text (RFC 8259).";
}

function tooLarge(bytesMax: number): PosthasteError {
  return new PosthasteError("body-too-large", `The body may have at most ${bytesMax} bytes.`);
}

function brokenOff(cause: unknown): PosthasteError {
  return new PosthasteError("invalid-json", "The body broke off before its end.", cause);
}

/** A body of declared length. The HTTP server ends it there, so it can be read in one piece. */
async function readWhole(request: InboundRequest): Promise<Uint8Array> {
  try {
    return await request.bytes();
  } catch (cause) {
    throw brokenOff(cause);
  }
}

/** A body of unknown length. It is read up to the bound; the rest is never read. */
async function readStream({ request, bytesMax, onBytes, onTimeout }: BodyReading): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  onTimeout(cancel);
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw brokenOff(cause);
    });
    if (done) return joinChunks(chunks, total);
    total += value.length;
    if (total > bytesMax) {
      cancel();
      throw tooLarge(bytesMax);
    }
    try {
      onBytes(value.length);
    } catch (refusal) {
      cancel();
      throw refusal;
    }
    chunks.push(value);
  }
}

function joinChunks(chunks: readonly Uint8Array[], total: number): Uint8Array {
  const only = chunks[0];
  if (chunks.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new PosthasteError("invalid-utf8", "The body is not UTF-8; nothing of it was taken.");
  }
}

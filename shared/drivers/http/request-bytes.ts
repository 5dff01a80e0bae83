/** A POST as HTTP/1.1 writes it (RFC 9112 section 3). */
import type { ByteSocket } from "./byte-socket.ts";
import type { ExchangeRequest } from "./http-client.ts";

/** Of the connection, and so ours alone, whatever an endpoint was given before they were refused. */
const connectionFields: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "keep-alive",
  "proxy-connection",
  "upgrade",
  "expect",
  "te",
  "trailer",
]);
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The request cannot be written as HTTP. */
export class UnwritableRequest extends Error {
  override readonly name = "UnwritableRequest";
}

/** The fields without those of the connection. Throws `UnwritableRequest` for what is no field of HTTP. */
export function sendableFields(headers: Readonly<Record<string, string>>): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (isSendable(name, value)) fields[name] = value;
  }
  return fields;
}

/** Everything before the body. Throws `UnwritableRequest`. */
export function requestHead({ origin, path, headers, body }: ExchangeRequest): string {
  let head = `POST ${path} HTTP/1.1\r\nhost: ${origin.slice(origin.indexOf("//") + 2)}\r\nconnection: keep-alive\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (isSendable(name, value)) head += `${name}: ${value}\r\n`;
  }
  return `${head}content-length: ${body.length}\r\n\r\n`;
}

function isSendable(name: string, value: string): boolean {
  if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) {
    throw new UnwritableRequest("the request cannot be written as HTTP");
  }
  return !connectionFields.has(name.toLowerCase());
}

/** Head and body go in one piece up to here: one call of the kernel, and one packet when they fit. */
const ONE_PIECE_BYTES_MAX = 64 * 1024;
const piece = Buffer.alloc(ONE_PIECE_BYTES_MAX);

export function writeRequest(socket: ByteSocket, head: string, body: Uint8Array): void {
  const length = head.length + body.length;
  if (length > ONE_PIECE_BYTES_MAX) {
    socket.write(Buffer.from(head, "latin1"));
    socket.write(Buffer.from(body.buffer, body.byteOffset, body.length));
    return;
  }
  piece.write(head, 0, "latin1");
  piece.set(body, head.length);
  socket.write(piece.subarray(0, length));
}

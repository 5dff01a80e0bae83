/** A POST as HTTP/1.1 writes it (RFC 9112 section 3). */
import type { Socket } from "node:net";

import type { ExchangeRequest } from "./http-client.ts";

/** Up to here head and body go in one piece; copying a larger body costs more than a second write. */
const ONE_PIECE_BYTES_MAX = 64 * 1024;

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
    if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) {
      throw new UnwritableRequest("the request cannot be written as HTTP");
    }
    if (!connectionFields.has(name.toLowerCase())) fields[name] = value;
  }
  return fields;
}

/** Everything before the body. */
export function requestHead({ origin, path, headers, body }: ExchangeRequest): string {
  let head = `POST ${path} HTTP/1.1\r\nhost: ${origin.slice(origin.indexOf("//") + 2)}\r\nconnection: keep-alive\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  return `${head}content-length: ${body.length}\r\n\r\n`;
}

export function writeRequest(socket: Socket, head: string, body: Uint8Array): void {
  if (body.length > ONE_PIECE_BYTES_MAX) {
    socket.cork();
    socket.write(head, "latin1");
    socket.write(body);
    socket.uncork();
    return;
  }
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 0, "latin1");
  bytes.set(body, head.length);
  socket.write(bytes);
}

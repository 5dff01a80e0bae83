/** Writes a handler's answer. Our answers are whole texts, so each is one write with its length. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { PosthasteError } from "../../../domain/errors.ts";
import { ERRORS } from "../../../domain/errors.ts";
import { problemHeaders, problemOf } from "../../../domain/problem.ts";

/** Bytes of a body that nobody asked for which are read past, so that the connection can be used again. */
const PASSED_BYTES_MAX = 1024 * 1024;

/** A request and the way to answer it. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/** `isLast`: no further request is taken from this connection. */
export function writeResponse(exchange: Exchange, response: Response, text: string, isLast: boolean): void {
  const fields: Fields = {};
  for (const [name, value] of response.headers) fields[name] = value;
  if (isLast) fields["connection"] = "close";
  // The answer to HEAD has no text of its own, and so no length that is true.
  const hasLength = response.status !== 204 && !(exchange.incoming.method === "HEAD" && text === "");
  if (hasLength) fields["content-length"] = Buffer.byteLength(text);
  write(exchange, response.status, fields, text);
}

export function writeProblem(exchange: Exchange, error: PosthasteError): void {
  const text = JSON.stringify(problemOf(error));
  write(
    exchange,
    ERRORS[error.code].status,
    { ...problemHeaders(error), "content-length": Buffer.byteLength(text) },
    text,
  );
}

type Fields = Record<string, string | number>;

function write({ incoming, outgoing }: Exchange, status: number, fields: Readonly<Fields>, text: string): void {
  if (outgoing.destroyed || outgoing.headersSent) return;
  outgoing.writeHead(status, fields);
  outgoing.end(text);
  if (!incoming.complete) passBody(incoming);
}

/** What still comes of a refused body is read and dropped: closing now could take the answer from the caller. */
function passBody(incoming: IncomingMessage): void {
  let left = PASSED_BYTES_MAX;
  incoming.on("error", () => undefined);
  // Whoever began to read it listens for `readable`, and a stream that is read so does not flow.
  incoming.removeAllListeners("readable");
  incoming.on("data", (piece: Buffer) => {
    left -= piece.length;
    if (left < 0) incoming.socket.destroy();
  });
  incoming.resume();
}

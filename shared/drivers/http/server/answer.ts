/**
 * Answers as they are written. Ours are whole texts, so each is one write with its length; but a `text/event-stream` goes
 * out as it comes (`streamed-answer.ts`).
 */
import { STATUS_CODES } from "node:http";
import type { PosthasteError } from "../../../domain/errors.ts";
import { ERRORS } from "../../../domain/errors.ts";
import { problemHeaders, problemOf } from "../../../domain/problem.ts";
import { partsOf } from "../../../ports/text-response.ts";

export const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

const EVENT_STREAM = "text/event-stream";

export interface Answer {
  readonly status: number;
  /** Without those of the connection, `date` and `content-length`. */
  readonly fields: Readonly<Record<string, string>>;
  /** As bytes where many are sent the same. */
  readonly text: string | Uint8Array;
  /** What comes after the head, piece by piece, in place of a text. */
  readonly stream?: ReadableStream<Uint8Array>;
}

/** How an answer is written. */
export interface AnswerFrame {
  /** The request was HEAD: its answer has no text of its own. */
  readonly isHead: boolean;
  /** No further request is taken from this connection. */
  readonly isLast: boolean;
  /** As RFC 9110 section 6.6.1 asks for. */
  readonly date: string;
}

/** At once where the text is at hand. */
export function answerOf(response: Response): Answer | Promise<Answer> {
  const parts = partsOf(response);
  if (parts === null) return readAnswer(response);
  return { status: parts.status, fields: parts.headers, text: parts.text };
}

async function readAnswer(response: Response): Promise<Answer> {
  const fields: Record<string, string> = {};
  for (const [name, value] of response.headers) fields[name] = value;
  const { status, body } = response;
  if (body !== null && fields["content-type"] === EVENT_STREAM) return { status, fields, text: "", stream: body };
  return { status, fields, text: body === null ? "" : await response.text() };
}

export function problemAnswer(error: PosthasteError): Answer {
  return {
    status: ERRORS[error.code].status,
    fields: problemHeaders(error),
    text: JSON.stringify(problemOf(error)),
  };
}

/** The whole answer: in one piece, or the bytes that its text is given as behind its head. */
export function answerPieces(answer: Answer, frame: AnswerFrame): readonly (string | Uint8Array)[] {
  const { text } = answer;
  const first = answerText(answer, frame);
  return typeof text === "string" || frame.isHead ? [first] : [first, text];
}

/** The whole answer; where its text is given as bytes, its head. */
export function answerText(answer: Answer, frame: AnswerFrame): string {
  const { status, text } = answer;
  const { isHead } = frame;
  let head = headText(answer, frame);
  // An answer to HEAD without a text says nothing of a length, since nobody knows it; nor may these (RFC 9110 section 8.6), as the
  // length in a 304 is that of the 200.
  const hasLength = status !== 204 && status !== 304 && !(isHead && text.length === 0);
  if (hasLength) head += `content-length: ${Buffer.byteLength(text)}\r\n`;
  return isHead || typeof text !== "string" ? `${head}\r\n` : `${head}\r\n${text}`;
}

/** The head of an answer that is streamed; without chunks it lasts until the connection ends (RFC 9112 section 6.3). */
export function streamHeadText(answer: Answer, { isChunked, date }: { isChunked: boolean; date: string }): string {
  const coding = isChunked ? "transfer-encoding: chunked\r\n" : "";
  return `${headText(answer, { isLast: true, date })}${coding}\r\n`;
}

function headText({ status, fields }: Answer, { isLast, date }: Omit<AnswerFrame, "isHead">): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\ndate: ${date}\r\n`;
  for (const name in fields) if (name !== "connection") head += `${name}: ${fields[name]}\r\n`;
  return isLast ? `${head}connection: close\r\n` : head;
}

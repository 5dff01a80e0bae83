/** Answers as they are written. Ours are whole texts, so each is one write with its length. */
import { STATUS_CODES } from "node:http";
import type { PosthasteError } from "../../../domain/errors.ts";
import { ERRORS } from "../../../domain/errors.ts";
import { problemHeaders, problemOf } from "../../../domain/problem.ts";
import { partsOf } from "../../../ports/text-response.ts";

export const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

export interface Answer {
  readonly status: number;
  /** Without those of the connection, `date` and `content-length`. */
  readonly fields: Readonly<Record<string, string>>;
  readonly text: string;
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
  return { status: response.status, fields, text: response.body === null ? "" : await response.text() };
}

export function problemAnswer(error: PosthasteError): Answer {
  return {
    status: ERRORS[error.code].status,
    fields: problemHeaders(error),
    text: JSON.stringify(problemOf(error)),
  };
}

/** The whole answer. */
export function answerText({ status, fields, text }: Answer, { isHead, isLast, date }: AnswerFrame): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\ndate: ${date}\r\n`;
  for (const name in fields) if (name !== "connection") head += `${name}: ${fields[name]}\r\n`;
  if (isLast) head += "connection: close\r\n";
  // An answer to HEAD without a text says nothing of a length, since nobody knows it.
  if (status !== 204 && !(isHead && text === "")) head += `content-length: ${Buffer.byteLength(text)}\r\n`;
  return isHead ? `${head}\r\n` : `${head}\r\n${text}`;
}

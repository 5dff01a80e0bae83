/**
 * One command, one POST, one answer: Upstash's REST protocol (https://upstash.com/docs/redis/features/restapi), which other
 * servers speak too. Sent once and never again: a call that failed may have been carried out. Nothing is kept from one exchange
 * to the next, so that requests which share this process never wait for each other.
 */
import { errorOfReply, storeUnavailable } from "./redis-faults.ts";

/** Bytes of one answer; the largest of our replies has some 12 MiB in base64. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface HttpAddress {
  /** `https://host`, with or without a path. */
  readonly url: string;
  readonly token: string;
}

/** The plan of the database has no room for more, says Upstash: no fault of what was asked. */
const QUOTA_EXCEEDED =
  /^ERR (?:max (?:daily request|requests) limit|max concurrent connections|DB capacity quota) exceeded/;

/**
 * What the server returned, in base64 as `http-arguments.ts` reads it. Rejects with `store-unavailable`, which `signal` brings
 * about too, or with what the server refused.
 */
export async function exchange(
  fetch: Fetch,
  { url, token }: HttpAddress,
  command: readonly (string | number)[],
  signal: AbortSignal,
): Promise<unknown> {
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    "upstash-encoding": "base64",
  };
  let status: number;
  let text: string | null;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify(command),
      redirect: "manual",
      signal,
    });
    ({ status } = response);
    text = await readText(response);
  } catch (error) {
    const what = signal.aborted ? "Redis did not answer in time" : "The connection to Redis failed";
    throw storeUnavailable(what, error instanceof Error ? new Error(error.message) : undefined);
  }
  if (text === null) throw storeUnavailable(`Redis answered more than ${ANSWER_BYTES_MAX} bytes`);
  const answer = parseAnswer(text);
  if (answer === null) throw storeUnavailable(`The address of Redis answered ${status} without a reply of Redis`);
  if (answer.error === null && status === 200) return answer.result;
  const message = answer.error ?? "no reason was given";
  if (status === 400 || status === 401 || status === 200) throw errorOf(message);
  throw storeUnavailable(`The address of Redis answered ${status}`, new Error(message));
}

function errorOf(message: string): Error {
  return QUOTA_EXCEEDED.test(message)
    ? storeUnavailable("Redis has reached a limit of its plan", new Error(message))
    : errorOfReply(message);
}

/** Null when it is longer than it may be. */
async function readText(response: Response): Promise<string | null> {
  // Piece by piece costs a runtime whose streams lie outside of JavaScript several times as much.
  const declared = response.headers.get("content-encoding") === null ? response.headers.get("content-length") : null;
  if (Number(declared) > ANSWER_BYTES_MAX) {
    await response.body?.cancel();
    return null;
  }
  if (declared !== null) return await response.text();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parseAnswer(text: string): { readonly result: unknown; readonly error: string | null } | null {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer !== "object" || answer === null) return null;
    const { result, error } = answer as Record<string, unknown>;
    if (typeof error === "string") return { result: null, error };
    return result === undefined ? null : { result, error: null };
  } catch {
    return null;
  }
}

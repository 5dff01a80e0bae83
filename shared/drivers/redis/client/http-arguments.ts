/**
 * Arguments of a script, and replies, as JSON carries them, which has text and no bytes. Bytes that are UTF-8 go as that text,
 * and almost all of ours are; others go with each byte as the character of its number, and `bytes-of-text.lua` turns them back.
 * Replies come in base64 (https://upstash.com/docs/redis/features/restapi, Base64 Encoded Responses).
 */
import type { RedisArgument, RedisReply } from "./redis-commands.ts";
import { storeUnavailable } from "./redis-faults.ts";

export interface TextArguments {
  readonly values: readonly string[];
  /** Places, counted from 1, of those whose characters are bytes. */
  readonly bytesAt: readonly number[];
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

export function textArguments(args: readonly RedisArgument[]): TextArguments {
  const bytesAt: number[] = [];
  const values = args.map((argument, index) => {
    if (!(argument instanceof Uint8Array))
      return typeof argument === "string" ? argument.toWellFormed() : String(argument);
    const text = utf8Of(argument);
    if (text !== null) return text;
    bytesAt.push(index + 1);
    return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength).toString("latin1");
  });
  return { values, bytesAt };
}

function utf8Of(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** Of any length: a pattern with groups gives up on megabytes. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Throws `store-unavailable` for what is no reply of Redis in base64. */
export function replyOfJson(result: unknown, returns: "text" | "bytes"): RedisReply {
  if (result === null || typeof result === "number") return result;
  if (Array.isArray(result)) return result.map((part: unknown) => replyOfJson(part, returns));
  const bytes = typeof result === "string" ? bytesOf(result) : null;
  if (bytes === null)
    throw storeUnavailable("The address of Redis answers otherwise than in base64, which was asked for");
  return returns === "text" ? lenient.decode(bytes) : bytes;
}

/** OK is the one word that is left as it is. */
function bytesOf(text: string): Uint8Array | null {
  if (text !== "OK" && (text.length % 4 !== 0 || !BASE64.test(text))) return null;
  const bytes = text === "OK" ? Buffer.from(text) : Buffer.from(text, "base64");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

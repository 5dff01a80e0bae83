/** What a script returned, as the type that it promises; anything else is a bug of ours. */
import { assert } from "../../../lib/assert.ts";
import { recordDamaged } from "./redis-faults.ts";
import type { RedisReply } from "../client/redis-commands.ts";

export function textOf(reply: RedisReply | undefined): string {
  assert(typeof reply === "string", "the script returns text");
  return reply;
}

export function textOrNull(reply: RedisReply | undefined): string | null {
  return reply === null || reply === undefined ? null : textOf(reply);
}

export function listOf(reply: RedisReply | undefined): readonly RedisReply[] {
  assert(Array.isArray(reply), "the script returns a list");
  return reply as readonly RedisReply[];
}

/** A list of names and what belongs to each, which may be nothing. */
export function pairsOf(reply: RedisReply | undefined): readonly (readonly [string, string | null])[] {
  const parts = listOf(reply);
  assert(parts.length % 2 === 0, "the script returns pairs");
  const pair = (_: unknown, index: number) => [textOf(parts[2 * index]), textOrNull(parts[2 * index + 1])] as const;
  return Array.from({ length: parts.length / 2 }, pair);
}

/** A version or a time that Redis keeps as digits. What somebody else wrote in its place is damage. */
export function numberOf(reply: RedisReply | undefined): number {
  const number = Number(textOf(reply));
  if (!Number.isSafeInteger(number)) throw recordDamaged("A key in Redis does not hold the number that is ours");
  return number;
}

/** JSON that we wrote. What somebody else wrote in its place is damage. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw recordDamaged("A key in Redis does not hold the record that is ours");
  }
}

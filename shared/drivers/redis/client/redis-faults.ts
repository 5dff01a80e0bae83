/** What becomes of calls to Redis that fail, whichever way they went: the words of the server, and what they mean for a caller. */
import type { PosthasteError } from "../../../domain/errors.ts";
import { isDamage, isStoreUnavailable, storeFault } from "../../../domain/errors.ts";

/** Mended by hand, if at all. */
const DAMAGE_AGAIN_S = 60;

/** The first word with which a server refuses what would change something, and answers all else. */
const WRITES_REFUSED = new Set(["OOM", "MISCONF", "READONLY", "NOREPLICAS"]);
/** Answers that are about the server and not about what was asked: try again later. As the first word of the text. */
const SERVER_TROUBLE = new Set([
  ...WRITES_REFUSED,
  ..."LOADING BUSY MASTERDOWN CLUSTERDOWN TRYAGAIN MOVED ASK UNBLOCKED".split(" "),
  ..."NOAUTH NOPERM WRONGPASS".split(" "),
]);

/**
 * A key holds something else than what we wrote, put there by hand: in the text of a command, or of the script that ran it;
 * and what a script of ours meets in it, such as a text where it keeps a number.
 */
const WRONG_TYPE = /\bWRONGTYPE\b/;
const SCRIPT_FAILED = /\b(?:user_script|script: [0-9a-f]{40})\b|@user_script/;

/** `what` is a sentence without its full stop, for the log. */
export function storeUnavailable(what: string, cause?: unknown): PosthasteError {
  return storeFault(`${what}.`, { cause });
}

/** For what does not read back. `what` is a sentence without its full stop; it names the key where that is known. */
export function recordDamaged(what: string, cause?: unknown): PosthasteError {
  const full = `${what}; it costs itself until an operator mends or removes it.`;
  return storeFault(full, { retryAfterS: DAMAGE_AGAIN_S, isDamage: true, cause });
}

/** Of an error that the server answered. What a caller did wrong keeps its text; all else is `store-unavailable`. */
export function errorOfReply(message: string): Error {
  const firstWord = message.split(" ", 1)[0] ?? "";
  const plain = new Error(message);
  if (WRONG_TYPE.test(message)) return recordDamaged("A key in Redis has the wrong type", plain);
  if (SERVER_TROUBLE.has(firstWord)) return storeUnavailable(`Redis refused with ${firstWord}`, plain);
  return SCRIPT_FAILED.test(message) ? recordDamaged("A key in Redis does not hold what is ours", plain) : plain;
}

/** The word with which the server refused, for whatever was asked; null when it did not, as far as is known. */
export function troubleOf(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    const firstWord = at.message.split(" ", 1)[0] ?? "";
    if (SERVER_TROUBLE.has(firstWord)) return firstWord;
  }
  return null;
}

/**
 * Asks a server whether it takes writes, without writing. PING is answered by one that is full, that cannot save, or that is a
 * replica by now. A script with a first line of its own that does not say `no-writes` counts as one that writes, so the server
 * refuses it for any of these reasons before it runs (https://redis.io/docs/latest/develop/programmability/lua-api/, Script flags).
 */
export const MAY_WRITE = "#!lua\nreturn 1";

/**
 * Null, or one sentence on the first server that does not answer or refuses, of what came of `MAY_WRITE` on each. A Redis before
 * 7.0 does not know that first line and says so: it answers, and no more is known of it. `name` is the setting with the address.
 */
export function healthSentence(answers: readonly PromiseSettledResult<unknown>[], name: string): string | null {
  for (const answer of answers) {
    const isWell = answer.status === "fulfilled" || !isStoreUnavailable(answer.reason) || isDamage(answer.reason);
    if (!isWell) return sentenceOf(answer.reason, name);
  }
  return null;
}

function sentenceOf(error: unknown, name: string): string {
  const word = troubleOf(error);
  if (word === null) return `Redis (${name}) does not answer.`;
  return `Redis (${name}) refuses ${WRITES_REFUSED.has(word) ? "writes" : "commands"} (${word}).`;
}

/**
 * Every call to Redis ends: with the answer, or as `store-unavailable` after `COMMAND_MS_MAX` at the latest, the wait
 * for a connection included. A call whose caller has another way ends once Redis is silent (`ioredis-waits.ts`). After some
 * failures in a row calls fail at once for a moment, so that nobody waits for a dead Redis. Nothing is sent twice here: a
 * call that failed may have been carried out.
 */
import { PosthasteError, isDamage, storeFault } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { createCircuitBreaker } from "../../../lib/circuit-breaker.ts";
import type { RedisClient } from "./connect.ts";
import { createWaits } from "./ioredis-waits.ts";
import { STALL_MS } from "./redis-commands.ts";

export const COMMAND_MS_MAX = 2000;
/** Calls that wait for a connection or an answer; past it they are refused at once. */
export const CALLS_MAX = 50_000;
/** Mended by hand, if at all. */
const DAMAGE_AGAIN_S = 60;

const BREAKER = { failuresToOpen: 5, probeAfterMs: 250, probeAfterMsMax: 2000 } as const;

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

export interface RedisCalls {
  /**
   * `send` is called once, when there is a connection. `silenceMsMax` is the script's (`redis-commands.ts`); Infinity when it
   * is left out.
   */
  call<Answer>(send: () => Promise<Answer>, silenceMsMax?: number): Promise<Answer>;
  /** As `call`, also while others fail at once, where there is a connection: asks how the server is now, and they go by it. */
  ask<Answer>(send: () => Promise<Answer>): Promise<Answer>;
  /** False while calls fail at once, and while nothing comes back although it is waited for. */
  isReachable(): boolean;
  /** What waits is refused. */
  stop(): void;
}

export function createRedisCalls(options: { readonly client: RedisClient; readonly clock: Clock }): RedisCalls {
  const { client, clock } = options;
  const breaker = createCircuitBreaker(BREAKER);
  const waits = createWaits(clock, COMMAND_MS_MAX);
  let waiting: (() => void)[] = [];
  let isStopped = false;
  /** Why calls fail at once, when they do. */
  let latest: PosthasteError | null = null;
  /** For this the client gives the connection up (`connect.ts`), and what is under way on it is lost. */
  let readOnly: PosthasteError | null = null;

  client.on("ready", () => {
    readOnly = null;
    waits.restart();
    const now = waiting;
    waiting = [];
    for (const send of now) send();
  });

  function refusal(silenceMsMax: number, isAsking: boolean): PosthasteError | null {
    if (isStopped) return storeUnavailable("The connection to Redis is closed");
    if (waits.count() >= CALLS_MAX) return storeUnavailable("Too many calls wait for Redis");
    if (waits.isSilentFor(silenceMsMax)) return silent(silenceMsMax);
    // Without a connection there is nothing to probe with: the one call that is let through would only wait.
    const isHopeless = breaker.state() !== "closed" && client.status !== "ready";
    // Who asks how the server is now is the probe, whenever he comes.
    const atMs = isAsking ? Math.max(clock.monotonic(), breaker.probeAtMs()) : clock.monotonic();
    if (!isHopeless && (breaker.permits(atMs) || isAsking)) return null;
    const what = troubleOf(latest) === null ? "Redis does not answer" : "Redis refused the last calls";
    return storeUnavailable(what, latest ?? undefined);
  }

  function call<Answer>(send: () => Promise<Answer>, silenceMsMax = Infinity, isAsking = false): Promise<Answer> {
    const refused = refusal(silenceMsMax, isAsking);
    if (refused !== null) return Promise.reject(refused);
    return new Promise<Answer>((resolve, reject) => {
      let isOver = false;
      const fail = (error: PosthasteError): void => {
        isOver = true;
        latest = error;
        breaker.fail(clock.monotonic());
        reject(error);
      };
      const end = waits.add({
        silenceMsMax,
        expire: () => fail(storeUnavailable(`Redis did not answer within ${COMMAND_MS_MAX} ms`)),
        // What becomes of it tells of Redis all the same.
        giveUp: () => reject(silent(silenceMsMax)),
      });
      const succeeded = (answer: Answer): void => {
        if (isOver) return;
        end(true);
        breaker.succeed();
        resolve(answer);
      };
      const failed = (cause: unknown): void => {
        if (isOver) return;
        end(isReply(cause));
        const told = toError(cause);
        if (told instanceof PosthasteError && troubleOf(told) === "READONLY") readOnly = told;
        const isLost = readOnly !== null && !isReply(cause);
        const error = isLost ? storeUnavailable("The connection to Redis was given up", readOnly) : told;
        // One record that is damaged must not keep all others from being asked for.
        if (error instanceof PosthasteError && !isDamage(error)) return fail(error);
        breaker.succeed();
        reject(error);
      };
      const start = (): void => {
        if (!isOver) send().then(succeeded, failed);
      };
      if (client.status === "ready") start();
      else waiting.push(start);
    });
  }

  return {
    call: (send, silenceMsMax) => call(send, silenceMsMax),
    ask: (send) => call(send, Infinity, true),
    isReachable: () => breaker.state() === "closed" && !isStopped && !waits.isSilentFor(STALL_MS),
    stop() {
      isStopped = true;
      waits.expireAll();
      waiting = [];
    },
  };
}

function silent(ms: number): PosthasteError {
  return storeUnavailable(`Redis said nothing for ${ms} ms`);
}

/** `what` is a sentence without its full stop, for the log. */
export function storeUnavailable(what: string, cause?: unknown): PosthasteError {
  return storeFault(`${what}.`, { cause });
}

/** For what does not read back. `what` is a sentence without its full stop; it names the key where that is known. */
export function recordDamaged(what: string, cause?: unknown): PosthasteError {
  const full = `${what}; it costs itself until an operator mends or removes it.`;
  return storeFault(full, { retryAfterS: DAMAGE_AGAIN_S, isDamage: true, cause });
}

/** What a caller did wrong keeps its text; all else is `store-unavailable`. Arguments are left behind. */
export function toError(cause: unknown): Error {
  if (cause instanceof PosthasteError) return cause;
  if (!(cause instanceof Error)) return storeUnavailable("Redis failed", cause);
  const firstWord = cause.message.split(" ", 1)[0] ?? "";
  const plain = new Error(cause.message);
  if (!isReply(cause)) return storeUnavailable("The connection to Redis failed", plain);
  if (WRONG_TYPE.test(cause.message)) return recordDamaged("A key in Redis has the wrong type", plain);
  if (SERVER_TROUBLE.has(firstWord)) return storeUnavailable(`Redis refused with ${firstWord}`, plain);
  return SCRIPT_FAILED.test(cause.message) ? recordDamaged("A key in Redis does not hold what is ours", plain) : plain;
}

/** The server said it, and not the connection. */
function isReply(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "ReplyError";
}

/** The word with which the server refused, for whatever was asked; null when it did not, as far as is known. */
function troubleOf(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    const firstWord = at.message.split(" ", 1)[0] ?? "";
    if (SERVER_TROUBLE.has(firstWord)) return firstWord;
  }
  return null;
}

/** One sentence on a server of which `error` is what came of a call; `name` is the setting with its address. */
export function sentenceOf(error: unknown, name: string): string {
  const word = troubleOf(error);
  if (word === null) return `Redis (${name}) does not answer.`;
  return `Redis (${name}) refuses ${WRITES_REFUSED.has(word) ? "writes" : "commands"} (${word}).`;
}

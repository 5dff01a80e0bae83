/**
 * Every call to Redis ends: with the answer, or as `store-unavailable` after `COMMAND_MS_MAX` at the latest, the wait
 * for a connection included. A call whose caller has another way ends once Redis is silent (`ioredis-waits.ts`). After some
 * failures in a row calls fail at once for a moment, so that nobody waits for a dead Redis. Nothing is sent twice here: a
 * call that failed may have been carried out.
 */
import { PosthasteError, isDamage } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { createCircuitBreaker } from "../../../lib/circuit-breaker.ts";
import type { RedisClient } from "./connect.ts";
import { createWaits } from "./ioredis-waits.ts";
import { COMMAND_MS_MAX, STALL_MS } from "./redis-commands.ts";
import { errorOfReply, storeUnavailable, troubleOf } from "./redis-faults.ts";

/** Calls that wait for a connection or an answer; past it they are refused at once. */
export const CALLS_MAX = 50_000;

const BREAKER = { failuresToOpen: 5, probeAfterMs: 250, probeAfterMsMax: 2000 } as const;

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

/** What a caller did wrong keeps its text; all else is `store-unavailable`. Arguments are left behind. */
export function toError(cause: unknown): Error {
  if (cause instanceof PosthasteError) return cause;
  if (!(cause instanceof Error)) return storeUnavailable("Redis failed", cause);
  if (isReply(cause)) return errorOfReply(cause.message);
  return storeUnavailable("The connection to Redis failed", new Error(cause.message));
}

/** The server said it, and not the connection. */
function isReply(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "ReplyError";
}

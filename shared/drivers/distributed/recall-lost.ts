/**
 * Plans again, from what the ledger knows, what lay in a topic that somebody deleted: each event that is pending, as a copy that
 * is delivered unless the ledger shows that it was. What the ledger does not know, of such an event, is lost with the topic.
 */
import type { Envelope } from "../../domain/envelope.ts";
import { laneOf } from "../../domain/envelope.ts";
import { LANES } from "../../domain/event.ts";
import { ATTEMPTS_MAX } from "../../domain/retry-policy.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { DeliveryView, Ledger, ListedEvent } from "../../ports/ledger.ts";
import type { RetryQueue, Scheduled } from "../../ports/retry-queue.ts";
import { scheduledEvent } from "../../ports/retry-queue.ts";
import { DELAYS_MS } from "../partitioned/delay-topics/plan.ts";
import type { LostTopic } from "../redis/lost-topics.ts";
import { LANE_TOPICS, retryTopic } from "./topics.ts";

/** Before a copy goes out: what a process had taken from the topic is delivered all the same, and seldom takes longer. */
const AFTER_MS = 10_000;
/** Of LOW that is not fanned out as far as is known: it may wait a minute for its group. */
const AFTER_GROUP_MS = 80_000;
/** After a topic was missed it is there again by then: what is accepted later lies in it. */
const MADE_WITHIN_MS = 60_000;
/** Looked at for one topic, newest first. */
const EVENTS_MAX = 100_000;
const PAGE = 100;

interface Recalled {
  /** Copies that were planned. */
  readonly count: number;
  /** False: the retry queue was full, or there was more than `EVENTS_MAX`. */
  readonly isWhole: boolean;
}

export interface RecallOptions {
  readonly ledger: Pick<Ledger, "events" | "deliveries">;
  readonly retryQueue: Pick<RetryQueue, "schedule">;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Resolves with what the operator is told; rejects with what the ledger or the queue rejects with, or when it is aborted: then
 * a part may be planned, and is planned once more by the next call.
 */
export async function recallLost(options: RecallOptions, lost: LostTopic, signal: AbortSignal): Promise<string> {
  const made = `The Kafka topic ${lost.topic} was deleted while Posthaste ran, and is made again, empty.`;
  const recalled = await planAgain(options, lost, signal);
  if (recalled === null) return made;
  const planned = `${made} What the ledger shows as pending is planned again: ${recalled.count} copies.`;
  return recalled.isWhole
    ? planned
    : `${planned} No more of them find room. Events that stay pending can be sent by POST /v1/events/:id/resend.`;
}

/** Null: the topic is none of those that events wait in. */
async function planAgain(
  options: RecallOptions,
  { topic, sinceMs }: LostTopic,
  signal: AbortSignal,
): Promise<Recalled | null> {
  const lane = LANES.find((each) => LANE_TOPICS[each] === topic) ?? null;
  if (lane === null && !DELAYS_MS.some((delayMs) => retryTopic(delayMs) === topic)) return null;
  const { ledger, retryQueue, clock } = options;
  const untilMs = Number.isFinite(sinceMs) ? Math.min(clock.now(), sinceMs + MADE_WITHIN_MS) : clock.now();
  let cursor: string | null = null;
  let count = 0;
  for (let seen = 0; seen < EVENTS_MAX; seen += PAGE) {
    signal.throwIfAborted();
    const page = await ledger.events({ tenant: null, state: "pending", untilMs }, PAGE, cursor);
    for (const event of page.rows) {
      if (lane !== null && laneOf(event.envelope) !== lane) continue;
      const copies = lane === null ? await copiesOf(options, event) : [copyOf(event.envelope, clock.now())];
      if ((await retryQueue.schedule(copies)).kind === "full") return { count, isWhole: false };
      count += copies.length;
    }
    cursor = page.next;
    if (cursor === null) return { count, isWhole: true };
  }
  return { count, isWhole: false };
}

/** To whoever has nothing of it yet. */
function copyOf(envelope: Envelope, nowMs: number): Scheduled {
  const notBeforeMs =
    Math.max(envelope.deliverAtMs ?? 0, nowMs) + (laneOf(envelope) === "low" ? AFTER_GROUP_MS : AFTER_MS);
  return scheduledEvent(envelope, { cause: "relieved", notBeforeMs, endpointId: null, generation: 0, attempt: 1 });
}

/** Its fan-out may have waited in the topic, and so may the next attempt of each delivery. */
async function copiesOf({ ledger, clock }: RecallOptions, { envelope }: ListedEvent): Promise<readonly Scheduled[]> {
  const copies = [copyOf(envelope, clock.now())];
  let cursor: string | null = null;
  do {
    const page = await ledger.deliveries({ tenant: envelope.tenant, eventId: envelope.id }, PAGE, cursor);
    for (const delivery of page.rows) if (isUnderWay(delivery)) copies.push(nextOf(envelope, delivery, clock.now()));
    cursor = page.next;
  } while (cursor !== null);
  return copies;
}

function isUnderWay({ state }: DeliveryView): boolean {
  return state === "pending" || state === "retrying";
}

function nextOf(envelope: Envelope, delivery: DeliveryView, nowMs: number): Scheduled {
  const { endpointId, generation, attempts, nextAttemptAtMs } = delivery;
  const notBeforeMs = Math.max(nextAttemptAtMs ?? 0, nowMs) + AFTER_MS;
  const attempt = Math.min(attempts + 1, ATTEMPTS_MAX);
  return scheduledEvent(envelope, { cause: "relieved", notBeforeMs, endpointId, generation, attempt });
}

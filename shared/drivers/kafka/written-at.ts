/**
 * When records were written. Kafka tells the first offset at or after a time, and no time of an offset, so the time is closed
 * in upon: by one question when it is about now, by some ten when it is days ago. What was found is remembered, for an offset
 * has one time: a group that stands still is asked about once.
 */
import type { Clock } from "../../lib/ambient.ts";
import type { TopicPosition } from "../../ports/partition-log.ts";
import { WRITTEN_AT_SLACK, WRITTEN_AT_SLACK_MS } from "../../ports/partition-log.ts";
import type { KafkaAdmin } from "./admin.ts";
import { storeUnavailable } from "./client.ts";

const ANSWER_MS = 10_000;
/** Questions of one search: a time of 30 days ago is found by far fewer. */
const QUESTIONS_MAX = 100;
/** The next question goes back so much further than the last one that was not far enough. */
const FURTHER = 4;
/** Partitions whose last answer is remembered; past it all are forgotten. */
const REMEMBERED_MAX = 10_000;

/** The record was written at or after `fromMs`, and before `toMs`; null: nobody has asked for a time after it. */
interface Span {
  fromMs: number;
  toMs: number | null;
}

interface Search {
  readonly position: TopicPosition;
  readonly span: Span;
}

export interface WrittenAt {
  /** As the port says. */
  find(positions: readonly TopicPosition[]): Promise<readonly number[]>;
  /** The topic was deleted: its offsets begin anew. */
  forget(topic: string): void;
}

export function createWrittenAt({
  admin,
  clock,
  prefix,
}: {
  readonly admin: KafkaAdmin;
  readonly clock: Clock;
  readonly prefix: string;
}): WrittenAt {
  const remembered = new Map<string, Search>();

  /** What is written later has a later time, so an older answer is a bound for it. */
  function spanOf(position: TopicPosition): Span {
    const known = remembered.get(keyOf(position));
    if (known === undefined || known.position.offset > position.offset) return { fromMs: 0, toMs: null };
    return known.position.offset === position.offset ? known.span : { fromMs: known.span.fromMs, toMs: null };
  }

  async function narrow(topic: string, searches: readonly Search[], nowMs: number): Promise<void> {
    for (let asked = 0; asked < QUESTIONS_MAX; asked++) {
      const open = searches.find(({ span }) => !isNear(span, nowMs));
      if (open === undefined) return;
      const askedMs = nextQuestion(open.span, nowMs);
      const answers = await admin.use(ANSWER_MS, (client) =>
        client.fetchTopicOffsetsByTimestamp(prefix + topic, askedMs),
      );
      const firstOf = new Map(answers.map(({ partition, offset }) => [partition, Number(offset)]));
      for (const { position, span } of searches) {
        const first = firstOf.get(position.partition) ?? Infinity;
        if (first <= position.offset) span.fromMs = Math.max(span.fromMs, askedMs);
        else span.toMs = Math.min(span.toMs ?? Infinity, askedMs);
      }
    }
  }

  async function find(positions: readonly TopicPosition[]): Promise<readonly number[]> {
    const nowMs = clock.now();
    const searches = positions.map((position): Search => ({ position, span: { ...spanOf(position) } }));
    const byTopic = Map.groupBy(searches, ({ position }) => position.topic);
    try {
      await Promise.all([...byTopic].map(([topic, own]) => narrow(topic, own, nowMs)));
    } catch (error) {
      throw storeUnavailable("the times of records could not be read", error);
    }
    if (remembered.size > REMEMBERED_MAX) remembered.clear();
    for (const search of searches) remembered.set(keyOf(search.position), search);
    return searches.map(({ span }) => span.toMs ?? nowMs);
  }

  return {
    find,
    forget(topic) {
      for (const [key, { position }] of remembered) if (position.topic === topic) remembered.delete(key);
    },
  };
}

function isNear({ fromMs, toMs }: Span, nowMs: number): boolean {
  const latestMs = toMs ?? nowMs;
  return latestMs - fromMs <= Math.max(WRITTEN_AT_SLACK_MS, (nowMs - latestMs) * WRITTEN_AT_SLACK);
}

/** Back in growing steps while nothing lies before it, then the middle, by the age. */
function nextQuestion({ fromMs, toMs }: Span, nowMs: number): number {
  const ageMinMs = Math.max(WRITTEN_AT_SLACK_MS, nowMs - (toMs ?? nowMs));
  if (toMs === null) return Math.floor(nowMs - WRITTEN_AT_SLACK_MS);
  const ageMaxMs = nowMs - fromMs;
  if (ageMaxMs > ageMinMs * FURTHER * FURTHER) return Math.floor(nowMs - ageMinMs * FURTHER);
  return Math.floor(nowMs - Math.sqrt(ageMinMs * ageMaxMs));
}

function keyOf({ topic, partition }: TopicPosition): string {
  return `${topic}/${partition}`;
}

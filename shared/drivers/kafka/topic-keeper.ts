/**
 * Makes a topic again, as at the start, that somebody deleted while we run. The cluster's list of topics is looked at every few
 * seconds: not one question for our topics alone, which kafkajs repeats for seconds when one of them is unknown.
 *
 * Every process tells its readers before any process makes the topic: it is made by whoever misses it for the second time, and
 * all have looked by then. What a reader knows of offsets is of the old log, and would pass over records of the new one.
 *
 * One that its operator made again between two looks is told of by whoever meets its new log (`suspect`).
 */
import { assert } from "../../lib/assert.ts";
import { lookRepeatedly } from "../../lib/look-repeatedly.ts";
import type { TopicSpec } from "../../ports/partition-log.ts";
import type { KafkaAdmin } from "./admin.ts";
import { openKafkaAdmin } from "./admin.ts";
import type { KafkaContext } from "./client.ts";
import { ensureKafkaTopics } from "./topics.ts";

/** Between looks. */
const LOOK_MS = 3000;
const ASK_MS = 3000;
/** Creating and the election of leaders. */
const MAKE_MS = 20_000;

export interface TopicKeeper extends Disposable {
  /** From now on these are kept. */
  keep(specs: readonly TopicSpec[]): void;
  /** The topic may be another one of its name; the next look asks `isAnother`, so that an answer of a new leader is no proof. */
  suspect(topic: string): void;
}

export function createTopicKeeper(options: {
  readonly context: KafkaContext;
  readonly admin: KafkaAdmin;
  /** A topic is gone; its readers are to begin anew. Must not throw. */
  readonly onGone: (topic: string) => void;
  /** Is a log that is there not the one that was there before? */
  readonly isAnother: (topic: string) => Promise<boolean>;
  /** These are about to be made again, or were by somebody else. Awaited; must not reject. */
  readonly beforeMaking: (topics: readonly string[]) => Promise<void>;
  /** This process, or another at the same time, has made them again. Must not throw. */
  readonly onMadeAgain: () => void;
}): TopicKeeper {
  const { context, admin, onGone, isAnother, beforeMaking, onMadeAgain } = options;
  const { clock, prefix, onFault } = context;
  const kept = new Map<string, TopicSpec>();
  let missed: ReadonlySet<string> = new Set();
  const suspected = new Set<string>();
  let looking: Disposable | null = null;
  let isStopped = false;

  async function look(): Promise<void> {
    // Of a cluster that does not answer others tell.
    const listed = await admin.use(ASK_MS, (client) => client.listTopics()).catch(() => null);
    if (listed === null || isStopped) return;
    const there = new Set(listed);
    const gone = [...kept.keys()].filter((topic) => !there.has(prefix + topic));
    const overdue = gone.filter((topic) => missed.has(topic));
    missed = new Set(gone);
    const others = await othersAmong([...suspected].filter((topic) => there.has(prefix + topic)));
    suspected.clear();
    for (const topic of [...gone, ...others]) onGone(topic);
    if (overdue.length === 0 && others.length === 0) return;
    await beforeMaking([...overdue, ...others]);
    // Each by itself: one that the cluster refuses keeps none of the others away.
    const made = await Promise.allSettled(overdue.map(makeAgain));
    for (const each of made) if (each.status === "rejected") onFault(each.reason);
    if (others.length > 0 || made.some(({ status }) => status === "fulfilled")) onMadeAgain();
  }

  async function othersAmong(topics: readonly string[]): Promise<readonly string[]> {
    const found = await Promise.all(topics.map((topic) => isAnother(topic).catch(() => false)));
    return topics.filter((_, index) => found[index] === true);
  }

  /**
   * By a connection of its own: kafkajs goes on asking for each topic that a connection was ever asked about, and fails whatever
   * it does while one of them is unknown.
   */
  async function makeAgain(topic: string): Promise<void> {
    await using fresh = openKafkaAdmin(context);
    const spec = kept.get(topic);
    assert(spec !== undefined, "what is made again was kept");
    await fresh.use(MAKE_MS, (client) => ensureKafkaTopics({ admin: client, clock, prefix }, [spec]));
  }

  return {
    keep(specs) {
      for (const spec of specs) kept.set(spec.topic, spec);
      looking ??= lookRepeatedly(clock, LOOK_MS, async () => {
        await look().catch(onFault);
        return LOOK_MS;
      });
    },
    suspect: (topic) => void (kept.has(topic) && suspected.add(topic)),
    [Symbol.dispose]() {
      isStopped = true;
      looking?.[Symbol.dispose]();
    },
  };
}

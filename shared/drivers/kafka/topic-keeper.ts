/**
 * Makes a topic again, as at the start, that somebody deleted while we run. The cluster's list of topics is looked at every few
 * seconds: not one question for our topics alone, which kafkajs repeats for seconds when one of them is unknown.
 *
 * Every process tells its readers before any process makes the topic: it is made by whoever misses it for the second time, and
 * all have looked by then. What a reader knows of offsets is of the old log, and would pass over records of the new one.
 */
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
}

export function createTopicKeeper(options: {
  readonly context: KafkaContext;
  readonly admin: KafkaAdmin;
  /** A topic is gone; its readers are to begin anew. Must not throw. */
  readonly onGone: (topic: string) => void;
  /** These are about to be made again. Awaited; must not reject. */
  readonly beforeMaking: (topics: readonly string[]) => Promise<void>;
  /** This process, or another at the same time, has made them again. Must not throw. */
  readonly onMadeAgain: () => void;
}): TopicKeeper {
  const { context, admin, onGone, beforeMaking, onMadeAgain } = options;
  const { clock, prefix, onFault } = context;
  const kept = new Map<string, TopicSpec>();
  let missed: ReadonlySet<string> = new Set();
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
    for (const topic of gone) onGone(topic);
    if (overdue.length === 0) return;
    await beforeMaking(overdue);
    await makeAgain(overdue);
    onMadeAgain();
  }

  /**
   * By a connection of its own: kafkajs goes on asking for each topic that a connection was ever asked about, and fails whatever
   * it does while one of them is unknown.
   */
  async function makeAgain(topics: readonly string[]): Promise<void> {
    await using fresh = openKafkaAdmin(context);
    const specs = topics.flatMap((topic) => kept.get(topic) ?? []);
    await fresh.use(MAKE_MS, (client) => ensureKafkaTopics({ admin: client, clock, prefix }, specs));
  }

  return {
    keep(specs) {
      for (const spec of specs) kept.set(spec.topic, spec);
      looking ??= lookRepeatedly(clock, LOOK_MS, async () => {
        await look().catch(onFault);
        return LOOK_MS;
      });
    },
    [Symbol.dispose]() {
      isStopped = true;
      looking?.[Symbol.dispose]();
    },
  };
}

/**
 * Sees to it that what lay in a deleted topic is planned again, whoever dies meanwhile: a topic is noted in Redis before it is
 * made again, and the note goes when the planning is over. Each process looks for notes when it starts, when it has made a
 * topic, and now and then.
 */
import type { Clock, Entropy } from "../../lib/ambient.ts";
import { encodeHex } from "../../domain/hex.ts";
import type { Leases } from "../../ports/leases.ts";
import type { LostTopic, LostTopics } from "../redis/lost-topics.ts";
import type { RecallOptions } from "./recall-lost.ts";
import { recallLost } from "./recall-lost.ts";

/** Between looks for notes of a process that died. */
const LOOK_MS = 30_000;
/** A process that died over the planning is followed by another then. One that takes longer may meet it: copies ask the ledger. */
const LEASE_MS = 120_000;

export interface Recalls extends AsyncDisposable {
  /** Resolves when the note is durable, or Redis cannot take it: then this process alone remembers it. Never rejects. */
  note(topics: readonly string[]): Promise<void>;
  /** Looks at once, and from then on now and then. Never throws. */
  look(): void;
}

export function createRecalls(options: {
  readonly lostTopics: LostTopics;
  readonly leases: Leases;
  readonly recall: RecallOptions;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Gets what an operator is told, one sentence or two of a topic. Must not throw. */
  readonly onWarning: (warning: string) => void;
  readonly onFault: (error: unknown) => void;
}): Recalls {
  const { lostTopics, leases, clock, onWarning, onFault } = options;
  const holder = encodeHex(options.entropy.bytes(8));
  /** Of this process, which Redis could not be told of. */
  const untold = new Set<string>();
  const closing = new AbortController();
  let cancel = (): void => undefined;
  let looking: Promise<void> | null = null;
  let isWanted = false;

  async function note(topic: string): Promise<void> {
    untold.add(topic);
    await lostTopics.note(topic).then(() => untold.delete(topic), onFault);
  }

  async function lookOnce(): Promise<void> {
    for (const topic of untold) await note(topic);
    for (const lost of await lostTopics.list()) {
      if (closing.signal.aborted) return;
      await recall(lost).catch(onFault);
    }
  }

  async function recall(lost: LostTopic): Promise<void> {
    const lease = `recall:${lost.topic}`;
    if ((await leases.acquire(lease, holder, LEASE_MS)).kind === "held") return;
    try {
      onWarning(await recallLost(options.recall, lost, closing.signal));
      await lostTopics.done(lost.topic);
    } finally {
      await leases.release(lease, holder).catch(() => undefined);
    }
  }

  async function lookUntilNothingIsWanted(): Promise<void> {
    while (isWanted) {
      isWanted = false;
      await lookOnce().catch(onFault);
    }
    looking = null;
    if (!closing.signal.aborted) cancel = clock.timer(LOOK_MS, look);
  }

  function look(): void {
    cancel();
    isWanted = !closing.signal.aborted;
    looking ??= lookUntilNothingIsWanted();
  }

  return {
    note: async (topics) => void (await Promise.all(topics.map(note))),
    look,
    async [Symbol.asyncDispose]() {
      closing.abort();
      cancel();
      await looking;
    },
  };
}

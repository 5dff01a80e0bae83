/**
 * Records that do not read back. Each is given away as it is, raw bytes and the reason, and counts as done only when
 * that is durable; until then it holds its partition's head, because what nobody could read must not vanish either.
 */
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import { isAborted } from "../../../lib/lifecycle.ts";
import { retry } from "../../../lib/retry.ts";
import type { ConsumerRecord } from "../../../ports/partition-log.ts";

export interface PoisonRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Uint8Array | null;
  /** One sentence. */
  readonly reason: string;
}

/** Resolves when the record is durable elsewhere; may be given the same record again. */
export type OnPoison = (poison: PoisonRecord) => Promise<void>;

/** Between attempts to give one record away: without an end, as nothing else may become of it. */
export const POISON_BACKOFF = { firstMs: 1000, maxMs: 30_000 } as const;

export interface Quarantine {
  /** `done` is called when the record may be acked. Records wait in order, as many as their window holds. */
  put(record: ConsumerRecord, reason: string, done: () => void): void;
}

/** Gives away one record at a time, until `signal` is aborted: then the records come again to whoever reads next. */
export function createQuarantine(options: {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly onPoison: OnPoison;
  readonly signal: AbortSignal;
}): Quarantine {
  const { clock, entropy, signal } = options;
  const waiting: { readonly poison: PoisonRecord; readonly done: () => void }[] = [];
  const backoff = { clock, entropy, signal, ...POISON_BACKOFF, onFailure: () => undefined };
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    for (let next = waiting[0]; next !== undefined && !isAborted(signal); next = waiting[0]) {
      const { poison, done } = next;
      const { kind } = await retry(() => options.onPoison(poison), backoff);
      if (kind === "done" && !isAborted(signal)) done();
      waiting.shift();
    }
    isRunning = false;
  }

  return {
    put({ topic, partition, offset, headers, value }, reason, done) {
      waiting.push({ poison: { topic, partition, offset, headers, value, reason }, done });
      if (!isRunning) void run();
    },
  };
}

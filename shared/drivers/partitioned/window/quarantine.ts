/**
 * Records that do not read back. Each is given away as it is, raw bytes and the reason, and counts as done only when
 * that is durable; until then it holds its partition's head, because what nobody could read must not vanish either.
 */
import type { Clock } from "../../../lib/ambient.ts";
import { isAborted } from "../../../lib/lifecycle.ts";
import type { LogRecord } from "../../../ports/partition-log.ts";

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

/** Waits between attempts to give one record away: doubling, without an end, as nothing else may become of it. */
export const POISON_AGAIN_MS = 1000;
export const POISON_AGAIN_MS_MAX = 30_000;

export interface PoisonDesk {
  /** `done` is called when the record may be settled. Records wait in order, as many as their window holds. */
  give(record: LogRecord, reason: string, done: () => void): void;
}

/** Gives away one record at a time, until `signal` is aborted: then the records come again to whoever reads next. */
export function createPoisonDesk(options: {
  readonly clock: Clock;
  readonly onPoison: OnPoison;
  readonly signal: AbortSignal;
}): PoisonDesk {
  const { clock, onPoison, signal } = options;
  const waiting: { readonly poison: PoisonRecord; readonly done: () => void }[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    for (let next = waiting[0]; next !== undefined && !isAborted(signal); next = waiting[0]) {
      if (await isGivenAway(next.poison)) next.done();
      waiting.shift();
    }
    isRunning = false;
  }

  async function isGivenAway(poison: PoisonRecord): Promise<boolean> {
    for (let waitMs = POISON_AGAIN_MS; !isAborted(signal); waitMs = Math.min(waitMs * 2, POISON_AGAIN_MS_MAX)) {
      try {
        await onPoison(poison);
        return !isAborted(signal);
      } catch {
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
    return false;
  }

  return {
    give({ topic, partition, offset, headers, value }, reason, done) {
      waiting.push({ poison: { topic, partition, offset, headers, value, reason }, done });
      if (!isRunning) void run();
    },
  };
}

/**
 * Reads the dead-letter record into its index. While the index cannot be reached nothing is committed, and the same
 * records are put again.
 */
import type { DeliveryKey } from "../../../domain/delivery.ts";
import { HELD_STATES } from "../../../domain/delivery.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { DeadLetter } from "../../../ports/dead-letters.ts";
import type { DeadLetterIndex, DroppedLetter, IndexedLetter, LetterDrop } from "../../../ports/dead-letter-index.ts";
import type { LogListener, LogPosition, LogRecord } from "../../../ports/partition-log.ts";
import type { LetterPartition } from "./partition.ts";
import { createLetterPartition } from "./partition.ts";
import { parseLetterRecord } from "./record.ts";
import type { OnPoison } from "../window/quarantine.ts";

export interface LetterProjector {
  readonly listener: LogListener;
  /** Ends what is under way; what was not committed is read again. */
  close(): Promise<void>;
}

export interface LetterProjectorDeps {
  readonly index: DeadLetterIndex;
  readonly clock: Clock;
  readonly onPoison: OnPoison;
  /** Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Must not throw. */
  readonly onRemoved: (keys: readonly DeliveryKey[]) => void;
  /** Letters that had to make room. */
  readonly recordDropped: (dropped: readonly DroppedLetter[]) => Promise<void>;
  /**
   * Letters that are held for their endpoint came into the index late: whoever looked for them when the endpoint was
   * active again may not have found them. Must not throw.
   */
  readonly onLate: (held: readonly DeadLetter[]) => void;
}

/** Who records a dead letter puts it into the index himself, and gives up after less than this (`dead-letters.ts`). */
const LATE_MS = 1000;

export function createLetterProjector(deps: LetterProjectorDeps): LetterProjector {
  const { clock, onFault } = deps;
  const closing = new AbortController();
  const { signal } = closing;
  const partitions = new Map<string, LetterPartition>();
  const apply = async (batch: readonly LogRecord[], isRepeat: boolean): Promise<void> => {
    const letters = await applyBatch(deps, batch);
    const late = letters.filter(({ atMs }) => isRepeat || clock.now() - atMs > LATE_MS);
    const held = late.filter(({ state }) => HELD_STATES.some((each) => each === state));
    if (held.length > 0) deps.onLate(held);
  };

  return {
    listener: {
      assigned(assigned) {
        partitions.set(placeOf(assigned), createLetterPartition({ assigned, clock, apply, onFault, signal }));
      },
      lost(position) {
        partitions.get(placeOf(position))?.lose();
        partitions.delete(placeOf(position));
      },
      records(position, records) {
        partitions.get(placeOf(position))?.give(records);
      },
    },
    async close() {
      closing.abort();
      for (const partition of partitions.values()) await partition.idle();
    },
  };
}

function placeOf({ topic, partition }: LogPosition): string {
  return `${topic}/${partition}`;
}

/**
 * In order, as a tombstone takes out what stands before it: runs of letters and runs of tombstones go together. Returns
 * the letters.
 */
async function applyBatch(
  { index, onPoison, onRemoved, recordDropped }: LetterProjectorDeps,
  batch: readonly LogRecord[],
): Promise<readonly DeadLetter[]> {
  const all: DeadLetter[] = [];
  let letters: IndexedLetter[] = [];
  let drops: LetterDrop[] = [];
  const putAll = async (): Promise<void> => {
    if (letters.length > 0) await recordDropped(await index.put(letters));
    letters = [];
  };
  const dropAll = async (): Promise<void> => {
    // Whoever wrote the tombstone dropped them mostly; what is left it had no time for.
    const dropped = drops.length === 0 ? [] : await index.drop(drops);
    if (dropped.length > 0) onRemoved(dropped);
    drops = [];
  };
  for (const record of batch) {
    const parsed = parseLetterRecord(record);
    if (parsed.kind === "letter") {
      await dropAll();
      letters.push(parsed.indexed);
      all.push(parsed.indexed.letter);
    } else if (parsed.kind === "tombstone") {
      await putAll();
      drops.push(parsed.drop);
    } else {
      await onPoison({ ...record, reason: parsed.reason });
    }
  }
  await putAll();
  await dropAll();
  return all;
}

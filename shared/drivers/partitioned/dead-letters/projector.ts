/**
 * Reads the dead-letter record into its index. While the index cannot be reached nothing is committed, and the same
 * records are put again.
 */
import type { DeliveryKey } from "../../../domain/delivery.ts";
import { isHeld } from "../../../domain/delivery.ts";
import { ALARM_MS_MAX } from "../../../lib/alarm.ts";
import type { Cancel, Clock, Entropy } from "../../../lib/ambient.ts";
import type { DeadLetter } from "../../../ports/dead-letters.ts";
import type {
  DeadLetterIndex,
  DroppedDeadLetter,
  IndexedDeadLetter,
  DeadLetterDrop,
  ReadDeadLetterRecord,
  StrayDeadLetterRecord,
} from "../../../ports/dead-letter-index.ts";
import type { GroupListener, TopicPartition, ConsumerRecord } from "../../../ports/partition-log.ts";
import type { ProjectedPartition } from "../projected-partition.ts";
import { createProjectedPartition } from "../projected-partition.ts";
import type { ParsedDeadLetter } from "./record.ts";
import { parseDeadLetterRecord } from "./record.ts";
import type { OnPoison } from "../window/quarantine.ts";

export interface DeadLetterProjector {
  readonly listener: GroupListener;
  /** Ends what is under way; what was not committed is read again. */
  close(): Promise<void>;
}

export interface DeadLetterProjectorDeps {
  readonly index: DeadLetterIndex;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly onPoison: OnPoison;
  /** Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Must not throw. */
  readonly onRemoved: (keys: readonly DeliveryKey[]) => void;
  /** Dead letters that had to make room. */
  readonly recordDropped: (dropped: readonly DroppedDeadLetter[]) => Promise<void>;
  /** Records that came late, to be written right behind them; null when somebody else does that. */
  readonly setRight: ((strays: readonly StrayDeadLetterRecord[]) => Promise<void>) | null;
  /**
   * Dead letters that are held for their endpoint came into the index late: whoever looked for them when the endpoint was
   * active again may not have found them. Must not throw.
   */
  readonly onLate: (held: readonly Owner[]) => void;
}

/** Whose a dead letter is; kept without its body. */
type Owner = Pick<DeadLetter, "tenant" | "endpointId">;

/**
 * Who records a dead letter puts it into the index himself, and gives up after less than this (`dead-letters.ts`). Where his
 * clock is ahead of ours it cannot be told.
 */
const LATE_MS = 1000;
/**
 * Of one endpoint what overflowed is told as late at once, and no sooner again than after this: by a clock that differs each
 * record of a process is late, and what is called back without room overflows at once. The process in which it did calls for it when
 * there is room; who was killed meanwhile, or found nothing yet, is made up for at the end of this time.
 */
const TOLD_MS = 600_000;
/** Endpoints of which that is remembered; of further ones each is told. */
const TOLD_MAX = 10_000;
/** Between tries of what the index did not take. */
const WAIT_MS_MAX = 30_000;

export function createDeadLetterProjector(deps: DeadLetterProjectorDeps): DeadLetterProjector {
  const { clock, entropy, onFault } = deps;
  const closing = new AbortController();
  const { signal } = closing;
  const partitions = new Map<string, ProjectedPartition>();
  const overflows = createOverflows(clock, deps.onLate);
  const apply = async (batch: readonly ConsumerRecord[], isRepeat: boolean): Promise<void> => {
    const parsed = batch.map((record) => ({ record, parsed: parseDeadLetterRecord(record) }));
    const deadLetters = await applyBatch(deps, parsed);
    await setRight(deps, parsed);
    const late = deadLetters.filter(({ atMs }) => isRepeat || Math.abs(clock.now() - atMs) > LATE_MS);
    const held = late.filter(({ state }) => isHeld(state));
    // What the index did not take at first is late by no clock.
    const untold = held.filter((letter) => isRepeat || letter.state !== "backlog" || overflows.isNew(letter));
    if (untold.length > 0) deps.onLate(untold);
  };

  return {
    listener: {
      assigned(assigned) {
        partitions.set(
          placeOf(assigned),
          createProjectedPartition({ assigned, clock, entropy, apply, waitMsMax: WAIT_MS_MAX, onFault, signal }),
        );
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
      overflows.close();
    },
  };
}

/** Endpoints of which an overflow was told of late. */
function createOverflows(clock: Pick<Clock, "monotonic" | "timer">, tell: DeadLetterProjectorDeps["onLate"]) {
  const told = new Map<string, { readonly untilMs: number; unsaid: Owner | null }>();
  let cancel: Cancel | null = null;
  function note(key: string): void {
    told.set(key, { untilMs: clock.monotonic() + TOLD_MS, unsaid: null });
    cancel ??= clock.timer(ALARM_MS_MAX, look);
  }
  function look(): void {
    const nowMs = clock.monotonic();
    const over = Array.from(told).filter(([, { untilMs }]) => untilMs <= nowMs);
    for (const [key] of over) told.delete(key);
    cancel = told.size === 0 ? null : clock.timer(ALARM_MS_MAX, look);
    for (const [key, { unsaid }] of over) if (unsaid !== null) note(key);
    const unsaid = over.flatMap(([, each]) => each.unsaid ?? []);
    if (unsaid.length > 0) tell(unsaid);
  }
  return {
    /** False: it is told at the end of the time. */
    isNew({ tenant, endpointId }: Owner): boolean {
      const key = `${tenant} ${endpointId}`;
      const known = told.get(key);
      if (known !== undefined) known.unsaid = { tenant, endpointId };
      else if (told.size < TOLD_MAX) note(key);
      return known === undefined;
    },
    close(): void {
      cancel?.();
      told.clear();
    },
  };
}

interface ReadRecord {
  readonly record: ConsumerRecord;
  readonly parsed: ParsedDeadLetter;
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/**
 * In order, as a tombstone takes out what stands before it: runs of dead letters and runs of tombstones go together. Returns
 * the dead letters.
 */
async function applyBatch(
  { index, onPoison, onRemoved, recordDropped }: DeadLetterProjectorDeps,
  batch: readonly ReadRecord[],
): Promise<readonly DeadLetter[]> {
  const all: DeadLetter[] = [];
  let deadLetters: IndexedDeadLetter[] = [];
  let drops: DeadLetterDrop[] = [];
  const putAll = async (): Promise<void> => {
    if (deadLetters.length > 0) await recordDropped(await index.put(deadLetters));
    deadLetters = [];
  };
  const dropAll = async (): Promise<void> => {
    // Whoever wrote the tombstone dropped them mostly; what is left it had no time for.
    const dropped = drops.length === 0 ? [] : await index.drop(drops);
    if (dropped.length > 0) onRemoved(dropped);
    drops = [];
  };
  for (const { record, parsed } of batch) {
    if (parsed.kind === "dead-letter") {
      await dropAll();
      deadLetters.push(parsed.indexed);
      all.push(parsed.indexed.deadLetter);
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

/**
 * What waited while the log was away may come behind what was written meanwhile. The index tells, but the record is what an
 * index is filled from, and of a compacted one the last of each delivery is all that stays.
 */
async function setRight(
  { index, setRight: write }: DeadLetterProjectorDeps,
  batch: readonly ReadRecord[],
): Promise<void> {
  if (write === null) return;
  const lasts = new Map<string, ReadDeadLetterRecord>();
  for (const { record, parsed } of batch) {
    const { partition, offset } = record;
    const place = { partition, offset };
    if (parsed.kind === "dead-letter") {
      const { deadLetter, revision } = parsed.indexed;
      lasts.set(deadLetter.id, { id: deadLetter.id, revision, isTombstone: false, place });
    } else if (parsed.kind === "tombstone") {
      lasts.set(parsed.drop.id, { id: parsed.drop.id, revision: parsed.drop.revision, isTombstone: true, place });
    }
  }
  const strays = lasts.size === 0 ? [] : await index.strays([...lasts.values()]);
  if (strays.length > 0) await write(strays);
}

/**
 * The dead-letter record on a partition log, with an index to list, show and take out. An append is durable when the partition log has
 * acknowledged it; it is then put into the index at once, and once more by the projector, which reads the record and
 * so makes up for a crash in between. A removal writes a tombstone first.
 */
import type { DeliveryKey } from "../../../domain/delivery.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import { inTime } from "../../../lib/in-time.ts";
import type { DeadLetter, DeadLetters } from "../../../ports/dead-letters.ts";
import type {
  DeadLetterIndex,
  DroppedDeadLetter,
  DeadLetterDrop,
  StrayDeadLetterRecord,
} from "../../../ports/dead-letter-index.ts";
import type { GroupReader, PartitionLog } from "../../../ports/partition-log.ts";
import { deadLetterRecord, revisionOf, tombstoneRecord } from "./record.ts";
import { keepIndexWhole } from "./fill.ts";
import { createDeadLetterProjector } from "./projector.ts";
import type { OnPoison } from "../window/quarantine.ts";

export interface PartitionedDeadLettersOptions {
  readonly partitionLog: PartitionLog;
  readonly topic: string;
  /** One group for all processes. */
  readonly group: string;
  readonly index: DeadLetterIndex;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly onPoison: OnPoison;
  /** Told of what failed and is made up for. Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Dead letters that somebody took out; perhaps told twice. Must not throw. */
  readonly onRemoved: (keys: readonly DeliveryKey[]) => void;
  /** Dead letters that had to make room, with the reason. Must not throw. */
  readonly onExpired: (deadLetters: readonly DroppedDeadLetter[], reason: string) => void;
  /** An endpoint for which something held came into the index late: look again whether it is active. Must not throw. */
  readonly onLate: (tenant: string, endpointId: string) => void;
}

/** A filling under way at the end is waited for this long. */
const FILLING_ENDS_MS = 2000;

/** Between the tries of an append to put its dead letters into the index. Without a Redis they cost less than a second. */
const PUT_AGAIN_MS = [50, 250, 500] as const;

export interface PartitionedDeadLetters extends DeadLetters, AsyncDisposable {
  /** Joins the group; before it nothing is projected. May be called again after it failed. Throws what the partition log throws. */
  startReading(): Promise<void>;
  /** Null while the record is read; else one sentence. */
  health(): string | null;
}

/** The topic must be there. */
export function createPartitionedDeadLetters(options: PartitionedDeadLettersOptions): PartitionedDeadLetters {
  const { partitionLog, topic, index, clock, onFault } = options;
  const producer = partitionLog.openProducer("dead-letters");
  const recordDropped = async (dropped: readonly DroppedDeadLetter[]): Promise<void> => {
    if (dropped.length === 0) return;
    options.onExpired(dropped, expiryReason(index));
    await producer.append(dropped.map((deadLetter) => tombstoneRecord(deadLetter, topic, clock.now())));
    // Until this, the index names them again: a crash before it repeats the lines above.
    await index.drop(dropped.map(({ id, revision }) => ({ id, revision, place: null })));
  };
  /** The tombstone first: after a crash behind it the projector drops what is left. */
  const takeOut = async (found: readonly Pick<DroppedDeadLetter, "id" | "revision">[]): Promise<void> => {
    if (found.length === 0) return;
    const drops: readonly DeadLetterDrop[] = found.map(({ id, revision }) => ({ id, revision, place: null }));
    await producer.append(drops.map((drop) => tombstoneRecord(drop, topic, clock.now())));
    options.onRemoved(await index.drop(drops));
  };
  const onLate = (held: readonly Pick<DeadLetter, "tenant" | "endpointId">[]): void => {
    const owners = new Map(held.map(({ tenant, endpointId }) => [`${tenant} ${endpointId}`, { tenant, endpointId }]));
    for (const { tenant, endpointId } of owners.values()) options.onLate(tenant, endpointId);
  };
  const setRight = async (strays: readonly StrayDeadLetterRecord[]): Promise<void> => {
    const gone = strays.filter((stray) => stray.kind === "gone");
    if (gone.length > 0) await producer.append(gone.map((stray) => tombstoneRecord(stray, topic, clock.now())));
    for (const { kind, id } of strays) {
      const news = kind === "outdated" ? await index.find(id) : null;
      if (news !== null) await producer.append([deadLetterRecord(news, topic, clock.now())]);
    }
  };
  const projector = createDeadLetterProjector({ ...options, recordDropped, onLate, setRight });
  // What does not read is put aside by the usual group, and what came late set right.
  const createFiller = () =>
    createDeadLetterProjector({
      ...options,
      recordDropped,
      onLate,
      setRight: null,
      onPoison: () => Promise.resolve(),
    });
  const closing = new AbortController();
  let filling: Promise<void> = Promise.resolve();
  let joining: Promise<GroupReader> | null = null;
  let reader: GroupReader | null = null;

  return {
    async append(deadLetters) {
      if (deadLetters.length === 0) return;
      await producer.append(deadLetters.map((deadLetter) => deadLetterRecord(deadLetter, topic, clock.now())));
      const indexed = deadLetters.map((deadLetter) => ({ deadLetter, revision: revisionOf(deadLetter), place: null }));
      for (const waitMs of [...PUT_AGAIN_MS, null]) {
        try {
          return await recordDropped(await index.put(indexed));
        } catch (error) {
          // It is in the record: in the end the projector makes up for it.
          if (waitMs === null || closing.signal.aborted) return onFault(error);
          await clock.sleep(waitMs, closing.signal).catch(() => undefined);
        }
      }
    },
    find: (id) => index.find(id),
    list: (filter, limit, cursor) => index.list(filter, limit, cursor),
    count: (filter) => index.count(filter),
    remove: (found) => takeOut(found.map((deadLetter) => ({ id: deadLetter.id, revision: revisionOf(deadLetter) }))),
    async removeDelivered(delivered) {
      const ended = await index.delivered(delivered);
      await takeOut(ended);
      return ended;
    },
    async startReading() {
      if (reader !== null) return;
      joining ??= partitionLog.openReader(options.group, [topic], projector.listener).finally(() => (joining = null));
      reader = await joining;
      filling = keepIndexWhole({ ...options, createProjector: createFiller, signal: closing.signal });
    },
    health: () => (reader === null ? "The record of dead letters is not read yet." : reader.health()),
    async [Symbol.asyncDispose]() {
      closing.abort();
      // A join of its group cannot be broken off; the log ends it.
      await inTime(clock, FILLING_ENDS_MS, filling);
      await projector.close();
      await (reader ?? (await joining?.catch(() => null)))?.[Symbol.asyncDispose]();
      await producer[Symbol.asyncDispose]();
    },
  };
}

function expiryReason({ bytesMax, countMax }: DeadLetterIndex): string {
  const bounds = `at most ${bytesMax} bytes and ${countMax} deadLetters`;
  return `dropped from the dead letters, which keep ${bounds}; it was the tenant's oldest`;
}

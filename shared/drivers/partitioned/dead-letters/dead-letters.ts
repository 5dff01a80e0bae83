/**
 * The dead-letter record on a log, with an index to list, show and take out. An append is durable when the log has
 * acknowledged it; it is then put into the index at once, and once more by the projector, which reads the record and
 * so makes up for a crash in between. A removal writes a tombstone first.
 */
import type { DeliveryKey } from "../../../domain/delivery.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { DeadLetter, DeadLetters } from "../../../ports/dead-letters.ts";
import type { DeadLetterIndex, DroppedLetter, LetterDrop } from "../../../ports/dead-letter-index.ts";
import type { LogReader, PartitionLog } from "../../../ports/partition-log.ts";
import { letterRecord, revisionOf, tombstoneRecord } from "./record.ts";
import { createLetterProjector } from "./projector.ts";
import type { OnPoison } from "../window/quarantine.ts";

export interface LogDeadLettersOptions {
  readonly log: PartitionLog;
  readonly topic: string;
  /** One group for all processes. */
  readonly group: string;
  readonly index: DeadLetterIndex;
  readonly clock: Clock;
  readonly onPoison: OnPoison;
  /** Told of what failed and is made up for. Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Letters that somebody took out; perhaps told twice. Must not throw. */
  readonly onRemoved: (keys: readonly DeliveryKey[]) => void;
  /** Letters that had to make room, with the reason. Must not throw. */
  readonly onExpired: (letters: readonly DroppedLetter[], reason: string) => void;
  /** An endpoint for which something held came into the index late: look again whether it is active. Must not throw. */
  readonly onLate: (tenant: string, endpointId: string) => void;
}

/** Between the tries of an append to put its letters into the index. Without a Redis they cost less than a second. */
const PUT_AGAIN_MS = [50, 250, 500] as const;

export interface LogDeadLetters extends DeadLetters, AsyncDisposable {
  /** Joins the group; before it nothing is projected. May be called again after it failed. Throws what the log throws. */
  startReading(): Promise<void>;
  /** Null while the record is read; else one sentence. */
  health(): string | null;
}

/** The topic must be there. */
export function createLogDeadLetters(options: LogDeadLettersOptions): LogDeadLetters {
  const { log, topic, index, clock, onFault } = options;
  const producer = log.openProducer("dead-letters");
  const recordDropped = async (dropped: readonly DroppedLetter[]): Promise<void> => {
    if (dropped.length === 0) return;
    options.onExpired(dropped, expiryReason(index));
    await producer.append(dropped.map((letter) => tombstoneRecord(letter, topic, clock.now())));
    // Until this, the index names them again: a crash before it repeats the lines above.
    await index.drop(dropped.map(({ id, revision }) => ({ id, revision, place: null })));
  };
  const onLate = (held: readonly DeadLetter[]): void => {
    const owners = new Map(held.map(({ tenant, endpointId }) => [`${tenant} ${endpointId}`, { tenant, endpointId }]));
    for (const { tenant, endpointId } of owners.values()) options.onLate(tenant, endpointId);
  };
  const projector = createLetterProjector({ ...options, recordDropped, onLate });
  const closing = new AbortController();
  let joining: Promise<LogReader> | null = null;
  let reader: LogReader | null = null;

  return {
    async append(letters) {
      if (letters.length === 0) return;
      await producer.append(letters.map((letter) => letterRecord(letter, topic, clock.now())));
      const indexed = letters.map((letter) => ({ letter, revision: revisionOf(letter), place: null }));
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
    async remove(found) {
      if (found.length === 0) return;
      const drops: readonly LetterDrop[] = found.map((letter) => ({
        id: letter.id,
        revision: revisionOf(letter),
        place: null,
      }));
      await producer.append(drops.map((drop) => tombstoneRecord(drop, topic, clock.now())));
      options.onRemoved(await index.drop(drops));
    },
    async startReading() {
      if (reader !== null) return;
      joining ??= log.openReader(options.group, [topic], projector.listener).finally(() => (joining = null));
      reader = await joining;
    },
    health: () => (reader === null ? "The record of dead letters is not read yet." : reader.health()),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await projector.close();
      await (reader ?? (await joining?.catch(() => null)))?.[Symbol.asyncDispose]();
      await producer[Symbol.asyncDispose]();
    },
  };
}

function expiryReason({ bytesMax, lettersMax }: DeadLetterIndex): string {
  const bounds = `at most ${bytesMax} bytes and ${lettersMax} letters`;
  return `dropped from the dead letters, which keep ${bounds}; it was the tenant's oldest`;
}

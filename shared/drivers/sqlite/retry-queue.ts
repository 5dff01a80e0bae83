/**
 * What is due later, ordered by time in one table. Waiters wait with one timer for the earliest item; there is no
 * polling. A take writes nothing: items in someone's hands are remembered here and passed over.
 */
import { Alarm } from "../../lib/alarm.ts";
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import { PullWaiters } from "../../lib/waiters.ts";
import type { Envelope } from "../../domain/envelope.ts";
import type { Depth } from "../../ports/lanes.ts";
import type { RetryItem, RetryQueue, Scheduled, ScheduleResult } from "../../ports/retry-queue.ts";
import { SCHEDULED } from "../../ports/retry-queue.ts";
import type { QueueBounds } from "./admission.ts";
import { RETRY_AFTER_S, createAdmission } from "./admission.ts";
import type { Database } from "./database.ts";
import type { EventStore } from "./event-store.ts";
import type { GroupCommit } from "./group-commit.ts";
import { inParts } from "./parts.ts";
import { storeError } from "./store-error.ts";
import { rowDamaged } from "./row-damage.ts";
import { createSetBackRows } from "./set-back-rows.ts";
import type { RetryPlace, RetryRows } from "./retry-rows.ts";
import { comparePlaces, createRetryRows, placeOf } from "./retry-rows.ts";

export const RETRY_BOUNDS: QueueBounds = { itemsMax: 5_000_000, bytesMax: 10 * 1024 ** 3 };

const FULL: ScheduleResult = { kind: "full", retryAfterS: RETRY_AFTER_S };

/** What a row costs beside its bodies, about. */
const ROW_BYTES = 200;

export function createRetryQueue(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly events: EventStore;
  readonly clock: Clock;
  readonly bounds?: QueueBounds;
  /** Told of each row that does not read back, at each start. */
  readonly onFault?: (error: unknown) => void;
}): RetryQueue & { stop(): void } {
  const { writer, clock } = options;
  const rows = createRetryRows(options.database, options.events);
  const found = rows.totals();
  const admission = createAdmission({ bounds: options.bounds ?? RETRY_BOUNDS, ...found });
  let count = found.count;
  const onFault = options.onFault ?? (() => undefined);
  if (found.oddCount > 0)
    onFault(rowDamaged(`Rows of the retry queue have ids that are none of ours (${found.oddCount})`));
  const hands = createHands(rows, clock, found.idLast, onFault);
  const setBacks = createSetBackRows({
    rows,
    writer,
    clock,
    isHeld: hands.holds,
    onFault,
    moved(places) {
      places.forEach(hands.scheduled);
      waiters.wake();
    },
  });
  const alarm = new Alarm(clock, () => waiters.wake());
  const waiters = new PullWaiters<RetryItem>({
    pull: (max) => {
      setBacks.look();
      return hands.pull(max);
    },
    toError: storeError,
    onWaiting: () => alarm.setFor(hands.nextDueAtMs()),
  });

  return {
    async schedule(items) {
      if (items.length === 0) return SCHEDULED;
      const bytes = items.reduce((sum, item) => sum + bytesOf(item), 0);
      for (const item of items) assert(item.members.length > 0, "a scheduled item has a member");
      if (!admission.reserve("HIGH", items.length, bytes)) return FULL;
      // Before what was planned by the clock as it is now is among those that were there.
      setBacks.look();
      try {
        const insert = (): readonly RetryPlace[] => items.map((item) => rows.insert(item, bytesOf(item)));
        await writer.write(insert, bytes, (places) => {
          count += places.length;
          places.forEach(hands.scheduled);
          waiters.wake();
        });
        return SCHEDULED;
      } catch (error) {
        admission.free(items.length, bytes);
        throw error;
      }
    },
    take: (max, signal) => waiters.take(max, signal),
    async ack(items) {
      const ackPart = (part: readonly RetryItem[]): Promise<unknown> =>
        writer.write(
          () => part.filter((item) => rows.remove(placeOf(item))),
          0,
          (removed) => {
            count -= removed.length;
            admission.free(
              removed.length,
              removed.reduce((sum, item) => sum + bytesOf(item), 0),
            );
            for (const item of part) hands.acked(placeOf(item));
          },
        );
      await Promise.all(inParts(items).map(ackPart));
    },
    async release(items) {
      const nowMs = clock.now();
      const [late, due] = [
        items.filter(({ notBeforeMs }) => notBeforeMs > nowMs),
        items.filter((item) => item.notBeforeMs <= nowMs),
      ];
      for (const item of due) hands.released(placeOf(item));
      waiters.wake();
      // The clock was set back since they were handed out.
      if (late.length > 0)
        await writer.write(
          () => late.map((item) => rows.move(placeOf(item), nowMs)),
          0,
          (places) => {
            places.forEach(hands.released);
            waiters.wake();
          },
        );
    },
    async recall(endpointId, max) {
      // What is in someone's hands is not moved, also after the clock was set back: its place is its handle.
      const places = await writer.write(
        () => rows.recall(endpointId, clock.now(), max, (id) => !hands.holds(id)),
        0,
        (moved) => {
          moved.forEach(hands.scheduled);
          waiters.wake();
        },
      );
      return places.length;
    },
    async depth(): Promise<Depth> {
      return { count, oldestAtMs: rows.nextDueAtMs(null) };
    },
    stop() {
      alarm.stop();
      setBacks.stop();
    },
  };
}

/** Who has what: the items that were handed out, and from where on to look for more. */
function createHands(
  rows: RetryRows,
  clock: Pick<Clock, "now">,
  foundIdMax: number,
  onFault: (error: unknown) => void,
) {
  /** All rows up to here are in someone's hands; rows behind it may be, too. */
  let floor: RetryPlace = { notBeforeMs: -1, id: 0 };
  const held = new Set<number>();
  /** Handed back, and so some of their deliveries may have been made; as many as there were in hand. */
  const returned = new Set<number>();

  function lowerFloor(place: RetryPlace): void {
    if (comparePlaces(place, floor) <= 0) floor = { notBeforeMs: place.notBeforeMs, id: place.id - 1 };
  }

  /** Looks at the next `wanted` rows, pushes those that nobody holds, and returns whether there may be more. */
  function moveOn(items: RetryItem[], wanted: number): boolean {
    const places: readonly RetryPlace[] = rows.due(floor, clock.now(), wanted);
    for (const place of places) {
      if (!held.has(place.id)) {
        const item = rows.read(place, foundIdMax);
        // Until the next start nobody asks for one that does not read back again.
        held.add(place.id);
        if (item === null) onFault(rowDamaged(`The row ${place.id} of the retry queue does not read back`));
        else items.push({ ...item, isRepeat: item.isRepeat || returned.has(place.id) });
      }
      floor = place;
    }
    return places.length === wanted;
  }

  return {
    pull(max: number): RetryItem[] {
      const items: RetryItem[] = [];
      try {
        let hasMore = true;
        while (hasMore && items.length < max) hasMore = moveOn(items, max - items.length);
      } catch (error) {
        // What was read is in someone's hands now and must not get lost; the next pull meets the error again.
        if (items.length === 0) throw error;
      }
      return items;
    },
    nextDueAtMs: () => rows.nextDueAtMs(floor),
    holds: (id: number) => held.has(id),
    scheduled: lowerFloor,
    acked(place: RetryPlace): void {
      held.delete(place.id);
      returned.delete(place.id);
    },
    released(place: RetryPlace): void {
      if (!held.delete(place.id)) return;
      returned.add(place.id);
      lowerFloor(place);
    },
  };
}

function bytesOf(item: Scheduled): number {
  return item.members.reduce((sum: number, { body }: Envelope) => sum + body.length, ROW_BYTES);
}

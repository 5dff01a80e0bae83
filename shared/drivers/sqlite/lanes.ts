/**
 * The three lanes in one table. An append writes the event and its place in the lane in one commit, a long one in
 * parts; a take writes nothing; an ack deletes the place. After a crash all that was not acked is still in its place.
 */
import type { Clock } from "../../lib/ambient.ts";
import { ENVELOPE_BODY_BYTES_MAX } from "../../domain/envelope.ts";
import type { Envelope } from "../../domain/envelope.ts";
import { laneOf } from "../../domain/envelope.ts";
import { flowOf } from "../../domain/flow.ts";
import type { Lane, Priority } from "../../domain/event.ts";
import { LANES } from "../../domain/event.ts";
import { assert } from "../../lib/assert.ts";
import { PullWaiters } from "../../lib/waiters.ts";
import type { Depth, LaneItem, Lanes } from "../../ports/lanes.ts";
import { appendParts } from "../../ports/append-parts.ts";
import type { QueueBounds } from "./admission.ts";
import { createAdmission } from "./admission.ts";
import type { Database } from "./database.ts";
import type { EventStore } from "./event-store.ts";
import type { GroupCommit } from "./group-commit.ts";
import { inParts } from "./parts.ts";
import { storeError } from "./store-error.ts";
import type { FoundFlow, LaneHandle } from "./lane-tail.ts";
import { createLaneTail } from "./lane-tail.ts";

/** Across the three lanes; LOW is refused at 80 %, MEDIUM at 90 % of them. */
export const LANE_BOUNDS: QueueBounds = { itemsMax: 5_000_000, bytesMax: 10 * 1024 ** 3 };

const codeByLane = { high: 0, medium: 1, low: 2 } as const satisfies Record<Lane, number>;

interface Added {
  readonly id: number;
  readonly envelope: Envelope;
  readonly isLate: boolean;
}

export function createLanes(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly events: EventStore;
  readonly clock: Clock;
  readonly bounds?: QueueBounds;
  /** Told of each row that does not read back, at each start. */
  readonly onFault?: (error: unknown) => void;
}): Lanes {
  const { database, writer, events, onFault = () => undefined } = options;
  const rows = createLaneRows(database, events);
  const laneByName = {
    high: openLane(database, "high", onFault),
    medium: openLane(database, "medium", onFault),
    low: openLane(database, "low", onFault),
  } as const satisfies Record<Lane, OpenLane>;
  const admission = createAdmission({
    bounds: options.bounds ?? LANE_BOUNDS,
    count: LANES.reduce((sum, lane) => sum + laneByName[lane].count, 0),
    bytes: LANES.reduce((sum, lane) => sum + laneByName[lane].foundBytes, 0),
  });

  function queueAll(added: readonly Added[]): void {
    for (const { id, envelope, isLate } of added) {
      const lane = laneByName[laneOf(envelope)];
      lane.count++;
      lane.tail.appended(id, envelope, isLate);
      lane.waiters.wake();
    }
  }

  async function appendReserved(envelopes: readonly Envelope[]): Promise<void> {
    const bytes = bytesOf(envelopes);
    let addedCount = 0;
    let addedBytes = 0;
    const added = (all: readonly Added[]): void => {
      addedCount = all.length;
      addedBytes = bytesOf(all.map(({ envelope }) => envelope));
      queueAll(all);
    };
    try {
      await writer.writeUrgent(envelopes[0]?.tenant ?? "", () => rows.insertAll(envelopes), bytes, added);
    } finally {
      admission.free(envelopes.length - addedCount, bytes - addedBytes);
    }
  }

  return {
    async append(envelopes) {
      if (envelopes.length === 0) return;
      const priority = lowestPriority(envelopes);
      if (!admission.reserve(priority, envelopes.length, bytesOf(envelopes))) throw admission.refusal(priority);
      await appendParts(inParts(envelopes), appendReserved);
    },
    take: (lane, max, signal, admits) => laneByName[lane].waiters.take(max, signal, admits),
    lookAgain: (lane) => laneByName[lane].waiters.wake(),
    async ack(items) {
      const ackPart = (part: readonly LaneItem[]): Promise<unknown> =>
        writer.write(
          () => rows.removeAll(part),
          0,
          (removed) => {
            for (const item of removed) laneByName[item.lane].count--;
            admission.free(removed.length, bytesOf(removed.map(({ envelope }) => envelope)));
          },
        );
      await Promise.all(inParts(items).map(ackPart));
    },
    release(items) {
      for (const lane of LANES) {
        const own = items.filter((item) => item.lane === lane);
        if (own.length === 0) continue;
        laneByName[lane].tail.released(own);
        laneByName[lane].waiters.wake();
      }
      return Promise.resolve();
    },
    async depth(lane) {
      return { count: laneByName[lane].count, oldestAtMs: oldestAtMs(database, lane) };
    },
  };
}

function createLaneRows(database: Database, events: EventStore) {
  const insert = database.prepare("INSERT INTO lane_items VALUES (?, ?, ?, ?, ?)");
  const remove = database.prepare("DELETE FROM lane_items WHERE lane = ? AND tenant = ? AND flow = ? AND event = ?");
  return {
    /** Those that no lane had before. */
    insertAll(envelopes: readonly Envelope[]): readonly Added[] {
      const added: Added[] = [];
      for (const envelope of envelopes) {
        const newId = events.insert(envelope, true);
        const id = newId ?? events.claimForLane(envelope.tenant, envelope.id);
        if (id === null) continue;
        insert.run(codeByLane[laneOf(envelope)], envelope.tenant, flowOf(envelope.type), id, envelope.body.length);
        added.push({ id, envelope, isLate: newId === null });
      }
      return added;
    },
    /** Those that were still there. */
    removeAll: (items: readonly LaneItem[]): readonly LaneItem[] =>
      items.filter((item) => {
        const { flow, id } = handleOf(item);
        return Number(remove.run(codeByLane[item.lane], item.envelope.tenant, flow, id).changes) === 1;
      }),
  };
}

type OpenLane = ReturnType<typeof openLane>;

function openLane(database: Database, lane: Lane, onFault: (error: unknown) => void) {
  const code = codeByLane[lane];
  const found = database
    .prepare<FoundFlow & { count: number; bytes: number }>(
      `SELECT tenant, flow, max(event) AS idMax, count(*) AS count, 
         sum(CASE WHEN bytes BETWEEN 0 AND ${ENVELOPE_BODY_BYTES_MAX} THEN bytes ELSE 0 END) AS bytes
       FROM lane_items WHERE lane = ? GROUP BY tenant, flow`,
    )
    .all(code);
  const tail = createLaneTail({ database, lane, code, found, onFault });
  return {
    count: found.reduce((sum, { count }) => sum + count, 0),
    foundBytes: found.reduce((sum, { bytes }) => sum + bytes, 0),
    tail,
    waiters: new PullWaiters<LaneItem>({ pull: (max, admits) => tail.pull(max, admits), toError: storeError }),
  };
}

/**
 * Goes from flow to flow, two look-ups each: the first event of each is its oldest. Not by `(tenant, flow) > (h.tenant, h.flow)`, which SQLite bounds by
 * the tenant alone where the right side is no parameter: it went over all rows of the tenant, 150 ms for 300,000.
 */
function oldestAtMs(database: Database, lane: Lane): Depth["oldestAtMs"] {
  const select = database.prepare<{ accepted_at: number | null }>(
    `WITH RECURSIVE heads (tenant, flow, event) AS (
       SELECT * FROM (SELECT tenant, flow, event FROM lane_items WHERE lane = ?1 ORDER BY tenant, flow, event LIMIT 1)
       UNION ALL
       SELECT l.tenant, l.flow, l.event FROM heads h CROSS JOIN lane_items l
       WHERE l.lane = ?1 AND (l.tenant, l.flow, l.event) = (
         SELECT * FROM (SELECT tenant, flow, event FROM lane_items
           WHERE lane = ?1 AND tenant = h.tenant AND flow > h.flow ORDER BY flow, event LIMIT 1)
         UNION ALL
         SELECT * FROM (SELECT tenant, flow, event FROM lane_items
           WHERE lane = ?1 AND tenant > h.tenant ORDER BY tenant, flow, event LIMIT 1)
         LIMIT 1))
     SELECT accepted_at FROM events WHERE id = (SELECT min(event) FROM heads)`,
  );
  return select.get(codeByLane[lane])?.accepted_at ?? null;
}

function handleOf(item: LaneItem): LaneHandle {
  const handle = item.handle as LaneHandle | null;
  assert(typeof handle?.id === "number" && typeof handle.flow === "number", "a lane item carries our handle");
  return handle;
}

/** A mixed batch is admitted whole or not at all, so its least important event decides. */
function lowestPriority(envelopes: readonly Envelope[]): Priority {
  const order: readonly Priority[] = ["LOW", "MEDIUM", "HIGH"];
  return order.find((priority) => envelopes.some((envelope) => envelope.priority === priority)) ?? "HIGH";
}

function bytesOf(envelopes: readonly Envelope[]): number {
  return envelopes.reduce((sum, { body }) => sum + body.length, 0);
}

/**
 * Takes out what nobody needs any more: events 24 h after their last news, answers of claims, old counts. Small steps
 * through the writer. It looks each minute for what has expired, and not at all while there is nothing to expire.
 *
 * Past the bytes of the database, events that are done go before their time (`early-prune.ts`).
 *
 * An event is kept as long as a lane, the retry queue or a held-back dead letter refers to it; the claim of an event's
 * own id as long as the event.
 */
import type { Cancel, Clock } from "../../lib/ambient.ts";
import { FLOW_KEPT_MS } from "../../domain/lane-minutes.ts";
import { STATS_KEPT_MS } from "../../ports/stats.ts";
import type { Database, Statement } from "./database.ts";
import { createEarlyPrune } from "./early-prune.ts";
import type { EventPrune, EventStep } from "./event-prune.ts";
import { createEventPrune, PRUNE_ROWS_MAX } from "./event-prune.ts";
import { EVENTS_KEPT_MS } from "./event-store.ts";
import type { GroupCommit } from "./group-commit.ts";

/** From one run to the next: events of one minute go together, and a step of the clock is noticed. */
export const PRUNE_WAIT_MS = 60_000;

/** All pages in use. Lanes, retries, dead letters and claims have bounds of their own, which leave room for history. */
export const DATABASE_BYTES_MAX = 40 * 1024 ** 3;

/** They are read for an hour; thrown away for an hour at a time. */
const MINUTES_KEPT_MS = 2 * FLOW_KEPT_MS;

export interface Retention {
  /** Something was written: there will be something to expire. */
  wake(): void;
  stop(): void;
}

export function createRetention(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly clock: Clock;
  readonly databaseBytesMax?: number;
}): Retention {
  const { database, writer, clock, databaseBytesMax = DATABASE_BYTES_MAX } = options;
  const events = createEventPrune(database);
  const prune = createPrune(database, events);
  const early = createEarlyPrune(database, databaseBytesMax);
  const nextOther = database.prepare<{ at: number | null }>(
    `SELECT min(at) AS at FROM (
       SELECT min(expires_at) AS at FROM claims
       UNION ALL SELECT min(hour) + ${STATS_KEPT_MS} + 3600000 FROM stat_types
       UNION ALL SELECT min(hour) + ${STATS_KEPT_MS} + 3600000 FROM stat_endpoints
       UNION ALL SELECT min(minute) + ${MINUTES_KEPT_MS} FROM stat_minutes)`,
  );

  function nextDueAtMs(): number | null {
    const [event, other] = [events.nextDueAtMs(clock.now()), nextOther.get()?.at ?? null];
    return event === null || other === null ? (event ?? other) : Math.min(event, other);
  }

  let cancel: Cancel | null = null;
  let isRunning = false;
  let isStopped = false;

  /** One timer at most; none when all tables are empty, and then nothing can make room either. */
  function arm(): void {
    if (isStopped || isRunning || cancel !== null) return;
    if (nextDueAtMs() === null) return;
    cancel = clock.timer(PRUNE_WAIT_MS, () => void run());
  }

  async function step(): Promise<boolean> {
    if (isStopped) return false;
    return (await writer.write(() => prune(clock.now()), 0, events.stepped)).hasMore;
  }

  /** True when there is no room yet and more may go. */
  async function makeRoom(): Promise<boolean> {
    return !isStopped && early.isOver() && (await writer.write(() => early.step(), 0));
  }

  async function run(): Promise<void> {
    cancel = null;
    isRunning = true;
    try {
      // Nothing is written before something is due.
      let hasMore = (nextDueAtMs() ?? Infinity) <= clock.now();
      while (hasMore) hasMore = await step();
      early.begin();
      hasMore = true;
      while (hasMore) hasMore = await makeRoom();
    } catch {
      // The store cannot be written now, which `health` reports; what is due stays due until the next run.
    }
    isRunning = false;
    tryArm();
  }

  /** Never throws: the write it follows is durable, whatever can be read now. */
  function tryArm(): void {
    try {
      arm();
    } catch {
      // The store cannot be read now; the next commit arms it.
    }
  }

  arm();
  return {
    wake: tryArm,
    stop() {
      isStopped = true;
      cancel?.();
    },
  };
}

/** One step, of the events first. */
function createPrune(database: Database, events: EventPrune): (nowMs: number) => EventStep {
  const hourly = (table: string, key: string): Statement<never> =>
    database.prepare(
      `DELETE FROM ${table} WHERE (${key}) IN
         (SELECT ${key} FROM ${table} WHERE hour <= ? ORDER BY hour LIMIT ${PRUNE_ROWS_MAX})`,
    );
  const pruneClaims = createClaimPrune(database);
  const [types, endpoints] = [
    hourly("stat_types", "tenant, hour, type"),
    hourly("stat_endpoints", "tenant, endpoint_id, hour"),
  ];
  const minutes = database.prepare(
    `DELETE FROM stat_minutes WHERE (minute, field) IN
       (SELECT minute, field FROM stat_minutes WHERE minute <= ? ORDER BY minute LIMIT ${PRUNE_ROWS_MAX})`,
  );
  return (nowMs) => {
    const step = events.step(nowMs);
    if (step.hasMore) return step;
    if (pruneClaims(nowMs)) return { ...step, hasMore: true };
    const hour = nowMs - STATS_KEPT_MS - 3600 * 1000;
    const hours = Number(types.run(hour).changes) + Number(endpoints.run(hour).changes);
    return { ...step, hasMore: hours + Number(minutes.run(nowMs - MINUTES_KEPT_MS).changes) > 0 };
  };
}

/**
 * The claim of an event's own id stays as long as the event. It is put off to the event's time, which is ahead once
 * the events due now are gone, so that it is never put off twice in one run nor kept longer than its event.
 */
function createClaimPrune(database: Database): (nowMs: number) => boolean {
  const candidates = database.prepare<{ id: number; event_prune_at: number | null }>(
    `SELECT c.id, (SELECT iif(e.prune_at = 0, e.accepted_at + ${EVENTS_KEPT_MS}, e.prune_at) FROM events e
       WHERE c.key >= 'id:' AND c.key < 'id;' AND e.tenant = c.tenant AND e.event_id = substr(c.key, 4)) AS event_prune_at
     FROM claims c WHERE c.expires_at <= ? ORDER BY c.expires_at LIMIT ${PRUNE_ROWS_MAX}`,
  );
  const later = database.prepare("UPDATE claims SET expires_at = ? WHERE id = ?");
  const remove = database.prepare("DELETE FROM claims WHERE id = ?");
  return (nowMs) => {
    const due = candidates.all(nowMs);
    for (const { id, event_prune_at: eventPruneAtMs } of due) {
      if (eventPruneAtMs === null) remove.run(id);
      // A time that has passed is one that somebody edited: never twice in one run for that either.
      else later.run(Math.max(eventPruneAtMs, nowMs + PRUNE_WAIT_MS), id);
    }
    return due.length === PRUNE_ROWS_MAX;
  };
}

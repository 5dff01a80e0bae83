/**
 * One row for each event whose `deliver_at` was decided: cancelled, or begun. The one writer makes the order; the row goes
 * with its event, which is kept as long as the retry queue refers to it.
 */
import type { Clock } from "../../lib/ambient.ts";
import type { Cancellations, Decision, PlannedEvent } from "../../ports/cancellations.ts";
import { CANCELLED_MAX, CANCELLED_TENANT_SHARE, cancellationsFull } from "../../ports/cancellations.ts";
import type { Database } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";

const ROW_BYTES = 64;

export function createCancellations(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly clock: Pick<Clock, "now">;
  readonly cancelledMax?: number;
}): Cancellations {
  const { database, writer, clock, cancelledMax = CANCELLED_MAX } = options;
  const find = database.prepare<{ id: number; is_cancelled: number | null }>(
    `SELECT e.id, c.is_cancelled FROM events e LEFT JOIN cancellations c ON c.event = e.id
     WHERE e.tenant = ? AND e.event_id = ? AND e.accepted_at = ?`,
  );
  const insert = database.prepare("INSERT INTO cancellations VALUES (?, ?, ?)");
  const count = database.prepare<{ count: number }>("SELECT count FROM cancellation_totals WHERE tenant = ?");
  const forgetCounts = database.prepare("DELETE FROM cancellation_totals");
  const countTenants = database.prepare(
    "INSERT INTO cancellation_totals SELECT tenant, count(*) FROM cancellations WHERE is_cancelled = 1 GROUP BY tenant",
  );
  const countAll = database.prepare(
    "INSERT INTO cancellation_totals SELECT '', count(*) FROM cancellations WHERE is_cancelled = 1",
  );

  /** No count passes its bound: one beyond it was written by hand, and all are made anew. */
  function mendCounts(tenant: string): void {
    if ([tenant, ""].every((of) => isWithin(count.get(of)?.count ?? 0, cancelledMax))) return;
    forgetCounts.run();
    countTenants.run();
    countAll.run();
  }

  function requireRoom(tenant: string): void {
    mendCounts(tenant);
    if ((count.get(tenant)?.count ?? 0) >= cancelledMax * CANCELLED_TENANT_SHARE) throw cancellationsFull("tenant");
    if ((count.get("")?.count ?? 0) >= cancelledMax) throw cancellationsFull("all");
  }

  /** An event that is not kept any more was done with long ago. */
  function decide({ tenant, id, acceptedAtMs, deliverAtMs }: PlannedEvent, wish: Decision): Decision {
    const event = find.get(tenant, id, acceptedAtMs);
    if (event === undefined) return "begun";
    if (event.is_cancelled !== null) return event.is_cancelled === 1 ? "cancelled" : "begun";
    if (wish === "cancelled" && clock.now() >= deliverAtMs) return "begun";
    if (wish === "cancelled") requireRoom(tenant);
    insert.run(event.id, tenant, wish === "cancelled" ? 1 : 0);
    return wish;
  }

  return {
    cancel: (event) => writer.write(() => decide(event, "cancelled"), ROW_BYTES),
    begin: (event) => writer.write(() => decide(event, "begun"), ROW_BYTES),
  };
}

function isWithin(count: number, most: number): boolean {
  return count >= 0 && count <= most;
}

/**
 * Idempotency claims: one row for each key, a lease first and the answer for 24 h after. The row of an event's own id
 * stays as long as the event does, which retention sees to as well.
 */
import * as v from "valibot";
import type { Clock } from "../../lib/ambient.ts";
import type { Claim, ClaimRequest, Claims, Unclaimed } from "../../ports/claims.ts";
import { CLAIM_BYTES_MAX, CLAIM_KEPT_MS, CLAIM_LEASE_MS, CLAIM_TENANT_SHARE, claimsFull } from "../../ports/claims.ts";
import type { Database } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";

interface ClaimRow {
  readonly id: number;
  readonly fingerprint: string;
  readonly event_ids: string;
  readonly lease_until: number;
  readonly status: number | null;
  readonly body: string | null;
  readonly expires_at: number;
  /** Null in rows of releases that did not keep it. */
  readonly accepted_at: number | null;
}

const ROW_BYTES = 256;
/** The `lease_until` of a claim that was given up; one whose holder is gone has 0. */
const GIVEN_UP = -1;
const OWN_ID = "id:";

export function createClaims(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly clock: Pick<Clock, "now">;
  readonly bytesMax?: number;
}): Claims {
  const { database, writer, clock, bytesMax = CLAIM_BYTES_MAX } = options;
  const find = database.prepare<ClaimRow>("SELECT * FROM claims WHERE tenant = ? AND key = ?");
  const insert = database.prepare("INSERT INTO claims VALUES (NULL, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)");
  // Not by REPLACE, which would delete without the trigger that counts.
  const drop = database.prepare("DELETE FROM claims WHERE id = ?");
  const total = database.prepare<{ bytes: number }>("SELECT bytes FROM claim_totals WHERE tenant = ?");
  const retake = database.prepare("UPDATE claims SET lease_until = ?, expires_at = ? WHERE id = ?");
  const complete = database.prepare(
    "UPDATE claims SET status = ?, body = ?, lease_until = 0, expires_at = ? WHERE tenant = ? AND key = ? AND status IS NULL",
  );
  const abandon = database.prepare("UPDATE claims SET lease_until = ? WHERE tenant = ? AND key = ? AND status IS NULL");
  const findEvent = database.prepare<{ id: number }>("SELECT id FROM events WHERE tenant = ? AND event_id = ?");
  // The file has one process at a time: whoever held a lease is gone, and its caller need not wait for the end of it.
  database.prepare("UPDATE claims SET lease_until = 0 WHERE status IS NULL AND lease_until > 0").run();

  const weighAnew = createWeighAnew(database);

  /** An append under the id of an event that is kept would be taken for that event, so the id is not free yet. */
  function isOver(row: ClaimRow, request: ClaimRequest, nowMs: number): boolean {
    const { tenant, key } = request;
    const isForAnother = isGivenUp(row) && row.fingerprint !== request.fingerprint;
    if (row.expires_at > nowMs && !isForAnother) return false;
    return !key.startsWith(OWN_ID) || findEvent.get(tenant, key.slice(OWN_ID.length)) === undefined;
  }

  function requireRoom(tenant: string): void {
    // Each claim keeps the bound, so a sum that is so far from it was written by somebody else: nobody is refused for it.
    if ([tenant, ""].some((of) => !isPlausible(total.get(of)?.bytes ?? 0, bytesMax))) weighAnew();
    if ((total.get(tenant)?.bytes ?? 0) >= bytesMax * CLAIM_TENANT_SHARE) throw claimsFull("tenant");
    if ((total.get("")?.bytes ?? 0) >= bytesMax) throw claimsFull("all");
  }

  /** The row that stands for the key. One that does not read back is none: whoever comes takes it. */
  function standing({ tenant, key }: ClaimRequest): ClaimRow | undefined {
    const found = find.get(tenant, key);
    if (found === undefined || readsBack(found)) return found;
    drop.run(found.id);
    return undefined;
  }

  function claim(request: ClaimRequest): Claim {
    const nowMs = clock.now();
    const row = standing(request);
    return row === undefined || isOver(row, request, nowMs)
      ? claimNew(request, row, nowMs)
      : claimOf(row, request, nowMs);
  }

  function claimAgain(request: ClaimRequest): Claim | Unclaimed {
    const nowMs = clock.now();
    const row = standing(request);
    return row === undefined || isOver(row, request, nowMs) ? { kind: "unclaimed" } : claimOf(row, request, nowMs);
  }

  function claimNew(request: ClaimRequest, over: ClaimRow | undefined, nowMs: number): Claim {
    const { tenant, key, fingerprint, eventIds } = request;
    const acceptedAtMs = Math.max(
      request.acceptedAtMs,
      over !== undefined && isGivenUp(over) ? (over.accepted_at ?? 0) + 1 : 0,
    );
    if (over !== undefined) drop.run(over.id);
    requireRoom(tenant);
    const ids = JSON.stringify(eventIds);
    insert.run(tenant, key, fingerprint, ids, nowMs + CLAIM_LEASE_MS, nowMs + CLAIM_KEPT_MS, acceptedAtMs);
    return { kind: "claimed", eventIds, acceptedAtMs, isRetake: false };
  }

  function claimOf(row: ClaimRow, request: ClaimRequest, nowMs: number): Claim {
    if (row.fingerprint !== request.fingerprint) return { kind: "mismatch" };
    if (row.status !== null) return { kind: "answered", answer: { status: row.status, body: row.body ?? "" } };
    // A lease that ends later than one that was just given: the clock was set back. It has its whole time from now on.
    const leaseUntilMs = Math.min(row.lease_until, nowMs + CLAIM_LEASE_MS);
    if (leaseUntilMs < row.lease_until) retake.run(leaseUntilMs, nowMs + CLAIM_KEPT_MS, row.id);
    if (leaseUntilMs > nowMs) return { kind: "in-flight", retryAfterMs: leaseUntilMs - nowMs };
    retake.run(nowMs + CLAIM_LEASE_MS, nowMs + CLAIM_KEPT_MS, row.id);
    const eventIds = idsOf(row);
    return { kind: "claimed", eventIds, acceptedAtMs: row.accepted_at ?? request.acceptedAtMs, isRetake: true };
  }

  return {
    claim: (request) => writer.writeUrgent(request.tenant, () => claim(request), ROW_BYTES),
    claimAgain: (request) => writer.writeUrgent(request.tenant, () => claimAgain(request), 0),
    async complete(tenant, key, answer) {
      const write = (): void => void complete.run(answer.status, answer.body, clock.now() + CLAIM_KEPT_MS, tenant, key);
      await writer.writeUrgent(tenant, write, ROW_BYTES + answer.body.length);
    },
    async abandon(tenant, key) {
      await writer.writeUrgent(tenant, () => void abandon.run(GIVEN_UP, tenant, key), 0);
    },
  };
}

function isPlausible(bytes: number, bytesMax: number): boolean {
  return bytes >= 0 && bytes <= 2 * bytesMax;
}

/** Adds up all claims: as much work as there are. */
function createWeighAnew(database: Database): () => void {
  const forget = database.prepare("DELETE FROM claim_totals");
  const ofTenants = database.prepare(
    "INSERT INTO claim_totals SELECT tenant, count(*), sum(size) FROM claims GROUP BY tenant",
  );
  const ofAll = database.prepare("INSERT INTO claim_totals SELECT '', count(*), ifnull(sum(size), 0) FROM claims");
  return () => {
    forget.run();
    ofTenants.run();
    ofAll.run();
  };
}

function readsBack({ event_ids: ids, status, body }: ClaimRow): boolean {
  const isAnswer = status === null || (status >= 200 && status <= 599 && body !== null);
  return isAnswer && v.is(Ids, ids);
}

const Ids = v.pipe(v.string(), v.parseJson(), v.array(v.string()), v.minLength(1));

function idsOf({ event_ids: ids }: ClaimRow): readonly string[] {
  return v.parse(Ids, ids);
}

function isGivenUp({ status, lease_until }: ClaimRow): boolean {
  return status === null && lease_until === GIVEN_UP;
}

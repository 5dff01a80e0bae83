/**
 * What owners of endpoints are to be told, as the store knows it: looked up at each write that is kept, so that a notice that a
 * process noted in its last moment counts as well. And what they were told, as it was sent.
 */
import type { DatabaseSync } from "node:sqlite";
import { GROUP_TYPE } from "@posthaste/shared/domain/envelope.ts";
import type { NoticeKind, Trouble } from "@posthaste/shared/domain/endpoint-trouble.ts";
import { isOwnType } from "@posthaste/shared/domain/own-event.ts";
import type { SlotPlan, Scenario } from "./scenario.ts";
import type { Chance } from "./chance.ts";

/** Of one endpoint's record. */
export interface Noted {
  readonly tenant: string;
  readonly endpointId: string;
  readonly kind: NoticeKind;
  /** By the clock of the process that noted it; with kind and endpoint its name. */
  readonly atMs: number;
  /** Why it is disabled; null for other kinds. */
  readonly reason: string | null;
  /** By the world's time. */
  readonly seenAtMs: number;
  /** That of the same endpoint before it. */
  readonly before: Noted | null;
  /** The record says that it was sent. */
  isRemembered: boolean;
  /** What the record says next; `changed`: the owner changed or deleted the endpoint before it was sent. */
  next: "changed" | Noted | null;
}

export interface Notices {
  /** A write is to be kept. Does it note a notice, or that one was sent? */
  look(nowMs: number): boolean;
  /** In the order in which they were noted. */
  all(): readonly Noted[];
}

/** What of an endpoint's record tells of notices. */
export interface TroubleRow {
  readonly tenant: string;
  readonly endpointId: string;
  readonly trouble: Trouble | null;
  readonly statusReason: string | null;
}

/** Of the embedded set. */
export function troublesOnDisk(disk: DatabaseSync): () => readonly TroubleRow[] {
  let read: ReturnType<DatabaseSync["prepare"]> | null = null;
  return () => {
    read ??= disk.prepare("SELECT tenant, endpoint_id, settings, status_reason FROM endpoints");
    return read.all().map((row) => {
      const { trouble } = JSON.parse(String(row["settings"])) as { readonly trouble: Trouble | null };
      const statusReason = row["status_reason"] as string | null;
      return { tenant: String(row["tenant"]), endpointId: String(row["endpoint_id"]), trouble, statusReason };
    });
  };
}

/** `read` gives all endpoints there are. */
export function watchNotices(read: () => readonly TroubleRow[]): Notices {
  const noted: Noted[] = [];
  /** By endpoint, with the beginning of its trouble. */
  const last = new Map<string, { readonly sinceMs: number; readonly notice: Noted }>();
  /** Notices that were noted, and remembered as sent. */
  let newsCount = 0;

  function see({ tenant, endpointId, trouble, statusReason }: TroubleRow, nowMs: number): void {
    const before = last.get(endpointId);
    const now = trouble?.notice ?? null;
    const isSame = before !== undefined && now?.kind === before.notice.kind && now.atMs === before.notice.atMs;
    // An owner's change marks a notice as sent, too, and lets the trouble begin anew.
    if (before !== undefined && before.notice.next === null && !before.notice.isRemembered) {
      const isSent = isSame ? now.isSent : now === null && before.notice.kind === "recovered";
      if (isSent && isSame && trouble?.sinceMs !== before.sinceMs) before.notice.next = "changed";
      else if (isSent) {
        before.notice.isRemembered = true;
        newsCount++;
      } else if (now === null) before.notice.next = "changed";
    }
    if (trouble === null || now === null || isSame) return;
    const reason = now.kind === "disabled" ? statusReason : null;
    const isRemembered = now.isSent;
    const story = { before: before?.notice ?? null, next: null };
    const notice: Noted = { tenant, endpointId, ...now, reason, seenAtMs: nowMs, isRemembered, ...story };
    if (before !== undefined) before.notice.next ??= notice;
    noted.push(notice);
    newsCount++;
    last.set(endpointId, { sinceMs: trouble.sinceMs, notice });
  }

  return {
    look(nowMs) {
      const before = newsCount;
      const rows = read();
      for (const row of rows) see(row, nowMs);
      const there = new Set(rows.map(({ endpointId }) => endpointId));
      for (const [endpointId, { notice }] of last) {
        if (!there.has(endpointId) && !notice.isRemembered) notice.next ??= "changed";
      }
      return newsCount > before;
    },
    all: () => noted,
  };
}

/** One of our own events, as a receiver gets it. */
export interface ToldNotice {
  readonly type: string;
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const decoder = new TextDecoder();

/** Null when the body is another event's. */
export function toldIn(body: Uint8Array): ToldNotice | null {
  const { type, timestamp, data } = JSON.parse(decoder.decode(body)) as {
    readonly type: string;
    readonly timestamp: string;
    readonly data: ToldNotice["data"];
  };
  return isOwnType(type) && type !== GROUP_TYPE ? { type, atMs: Date.parse(timestamp), data } : null;
}

const NOTICED_RATE = 0.3;
const DEATHS_MAX = 6;
/** Tried often enough to be known as failing, and for long. */
const PATIENT_RETRY = { delays_s: [0, ...Array.from({ length: 40 }, () => 1)] };

/**
 * In some worlds a tenant takes notices, and endpoints fail for so long that they are disabled within the storm; nobody heals
 * them at the end, which would end what is owed. Drawn apart, so that all other worlds are what they were.
 */
export function withNotices(scenario: Scenario, chance: Chance): Scenario {
  const [lighthouse] = scenario.slots;
  if (lighthouse === undefined || !chance.isTrue(NOTICED_RATE)) return scenario;
  const listener: SlotPlan = { ...lighthouse, eventTypes: ["posthaste.*"] };
  const fromMs = chance.whole(0, scenario.stormMs / 2);
  const outage = { fromMs, toMs: fromMs + chance.magnitude(1000, scenario.stormMs) };
  const patient: SlotPlan = { ...lighthouse, isHealthy: false, outage, retry: PATIENT_RETRY };
  return {
    ...scenario,
    limits: { ...scenario.limits, disableAfterMs: chance.magnitude(1000, 8000) },
    isHealing: false,
    noticeDeaths: Array.from({ length: DEATHS_MAX }, () => chance.isTrue(0.3)),
    slots: [...scenario.slots, patient, listener],
  };
}

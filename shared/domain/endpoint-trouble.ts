/**
 * An endpoint that fails without one success: since when, what its owner was told of it, and when it is disabled. Kept in
 * the endpoint's own record, so that it survives restarts and all processors go by one clock. A notice is first noted here
 * with its time and then sent: whoever repeats it after a crash sends the same event.
 */
import * as v from "valibot";
import type { Endpoint } from "./endpoint.ts";
import { TimeMs } from "./id.ts";

const NOTICE_KINDS = ["failing", "disabled", "recovered"] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

export const Trouble = v.object({
  /** Epoch ms. No attempt succeeded from then on, as far as is known. */
  sinceMs: TimeMs,
  /** The last failure that was noted; not each of them is. */
  seenAtMs: TimeMs,
  /**
   * The last notice to the owner. `sinceMs`: as above when it was noted, so that it says the same when it is sent again; earlier versions
   * did not keep it. `isSent`: it is accepted as an event, or nobody asked for it.
   */
  notice: v.nullable(
    v.object({
      kind: v.picklist(NOTICE_KINDS),
      sinceMs: v.exactOptional(TimeMs),
      atMs: TimeMs,
      isSent: v.boolean(),
    }),
  ),
});
export type Trouble = Readonly<v.InferOutput<typeof Trouble>>;
export type Notice = NonNullable<Trouble["notice"]>;

/** `ENDPOINT_DISABLE_AFTER_S` unless it is set: 5 days, after which Standard Webhooks senders give up. */
export const DISABLE_AFTER_MS = 5 * 24 * 3600 * 1000;

/** The owner is told after this part of the time. */
const WARN_FRACTION = 1 / 2;
/** And has at least this part from then on. */
const NOTICE_FRACTION = 1 / 4;
/** As long without any attempt says nothing of the endpoint: the clock starts anew. */
const SILENCE_FRACTION = 1 / 2;
/** A failure is noted when the last one that was is as old as this part. */
const SEEN_FRACTION = 1 / 10;
/** Failures are noted when an endpoint has failed for this part, at most a minute: one that comes and goes costs no writes. */
const NOTED_FRACTION = 1 / 100;
const NOTED_MS_MAX = 60_000;

/** How long a process waits after a first failure before it notes that the endpoint fails. */
export function notedAfterMs(disableAfterMs: number): number {
  return Math.min(NOTED_MS_MAX, disableAfterMs * NOTED_FRACTION);
}

/** After a failed attempt; the same object when nothing is to be written. Disables, or notes that the owner is to be told. */
export function afterFailure(endpoint: Endpoint, nowMs: number, disableAfterMs: number): Endpoint {
  if (endpoint.status !== "active") return endpoint;
  const trouble = goneOn(endpoint.trouble, nowMs, disableAfterMs);
  const { sinceMs, notice } = trouble;
  const forMs = nowMs - sinceMs;
  if (notice?.kind !== "failing" || notice.atMs < sinceMs) {
    const isDue = forMs >= disableAfterMs * WARN_FRACTION;
    return withTrouble(endpoint, isDue ? { ...trouble, notice: unsent("failing", trouble, nowMs) } : trouble);
  }
  const isOver = forMs >= disableAfterMs && nowMs - notice.atMs >= disableAfterMs * NOTICE_FRACTION;
  if (!isOver || !notice.isSent) return withTrouble(endpoint, trouble);
  const reason = `no attempt succeeded since ${new Date(sinceMs).toISOString()}`;
  return disabled({ ...endpoint, trouble }, reason, nowMs);
}

/** After a 2xx; the same object when nothing is to be written. The owner is told if they heard of the failures. */
export function afterSuccess(endpoint: Endpoint, nowMs: number): Endpoint {
  const { trouble, status } = endpoint;
  if (trouble === null || status === "disabled") return endpoint;
  if (trouble.notice === null) return { ...endpoint, trouble: null };
  // Not sent yet. Where it failed again since, that is over, too.
  if (trouble.notice.kind === "recovered" && trouble.sinceMs <= trouble.notice.atMs) return endpoint;
  return { ...endpoint, trouble: { ...trouble, notice: unsent("recovered", trouble, nowMs) } };
}

/** By us. The owner is to be told. */
export function disabled(endpoint: Endpoint, reason: string, nowMs: number): Endpoint {
  const before = endpoint.trouble ?? begun(nowMs);
  const trouble = { ...before, notice: unsent("disabled", before, nowMs) };
  return { ...endpoint, status: "disabled", statusReason: reason, statusSinceMs: nowMs, updatedAtMs: nowMs, trouble };
}

/** The owner changed it, or let it go on: what failed before counts no more, but they still hear when it is well. */
export function troubleAfterChange(trouble: Trouble | null, nowMs: number): Trouble | null {
  if (trouble === null) return null;
  const { notice } = trouble;
  return { ...begun(nowMs), notice: notice === null ? null : { ...notice, isSent: true } };
}

/** After a notice was sent; one that took its place meanwhile is left alone. */
export function afterNotice(endpoint: Endpoint, sent: Notice): Endpoint {
  const { trouble } = endpoint;
  if (trouble?.notice?.kind !== sent.kind || trouble.notice.atMs !== sent.atMs) return endpoint;
  if (sent.kind !== "recovered") return { ...endpoint, trouble: { ...trouble, notice: { ...sent, isSent: true } } };
  // It may have failed again since.
  return { ...endpoint, trouble: trouble.sinceMs > sent.atMs ? { ...trouble, notice: null } : null };
}

/** Since when it had failed when the notice was noted. */
export function noticeSinceMs({ sinceMs, notice }: Trouble): number {
  return notice?.sinceMs ?? sinceMs;
}

/** When it will be disabled unless an attempt succeeds, as of the notice. */
export function disablesAtMs(sinceMs: number, noticeAtMs: number, disableAfterMs: number): number {
  return Math.ceil(Math.max(sinceMs + disableAfterMs, noticeAtMs + disableAfterMs * NOTICE_FRACTION));
}

function goneOn(trouble: Trouble | null, nowMs: number, disableAfterMs: number): Trouble {
  if (trouble === null) return begun(nowMs);
  const silentMs = nowMs - trouble.seenAtMs;
  const wasWell = trouble.notice?.kind === "recovered" && trouble.sinceMs <= trouble.notice.atMs;
  if (wasWell || silentMs >= disableAfterMs * SILENCE_FRACTION) return { ...begun(nowMs), notice: trouble.notice };
  return silentMs >= disableAfterMs * SEEN_FRACTION ? { ...trouble, seenAtMs: nowMs } : trouble;
}

function begun(nowMs: number): Trouble {
  return { sinceMs: nowMs, seenAtMs: nowMs, notice: null };
}

function unsent(kind: NoticeKind, { sinceMs }: Trouble, atMs: number): Notice {
  return { kind, sinceMs, atMs, isSent: false };
}

function withTrouble(endpoint: Endpoint, trouble: Trouble): Endpoint {
  return endpoint.trouble === trouble ? endpoint : { ...endpoint, trouble };
}

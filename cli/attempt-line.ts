/** One line of the terminal for each attempt that was made, to whichever endpoint, and for what follows it. */
import { styleText } from "node:util";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { DeliveryRecord, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import { shown, timeOfDay } from "./delivery-line.ts";

/** An attempt and how many events its request held: more than one when they went out in a batch. */
export interface Attempted {
  readonly delivery: DeliveryRecord & { readonly result: AttemptResult };
  readonly events: number;
}

/** What became known at once, in order; records without an attempt are left out, and a batch is one attempt. */
export function attemptsOf(entries: readonly LedgerEntry[]): readonly Attempted[] {
  const attempts = new Map<string, Attempted>();
  for (const entry of entries) {
    if (entry.kind !== "delivery" || entry.delivery.result === null) continue;
    const { delivery } = entry;
    const { result } = entry.delivery;
    const { groupId, eventId, endpointId, generation, attempt } = delivery;
    const key = JSON.stringify([groupId ?? eventId, endpointId, generation, attempt]);
    const events = (attempts.get(key)?.events ?? 0) + 1;
    attempts.set(key, { delivery: { ...delivery, result }, events });
  }
  return [...attempts.values()];
}

/** `url` is null when the endpoint is not there any more. */
export function attemptLine({ delivery, events }: Attempted, url: string | null): string {
  const { atMs, eventType, eventId, endpointId, attempt, state, result } = delivery;
  const what = events === 1 ? shown(eventId) : `a batch of ${events} events`;
  const isGood = state === "delivered";
  return [
    styleText("dim", timeOfDay(atMs)),
    `-> ${styleText("bold", shown(eventType))}`,
    what,
    `${shown(endpointId)} ${url === null ? "(deleted)" : shown(placeOf(url))}`,
    `attempt ${attempt}`,
    styleText(isGood ? "green" : "red", answerOf(result)),
    whatFollows(delivery),
  ].join("  ");
}

/** Origin and path. A query may hold a token of the receiver's, and a user's name or password is nobody's to see. */
function placeOf(text: string): string {
  if (!URL.canParse(text)) return "(unreadable URL)";
  const { protocol, host, pathname, search } = new URL(text);
  return `${protocol}//${host}${pathname}${search === "" ? "" : "?***"}`;
}

function answerOf(result: AttemptResult): string {
  return result.kind === "answered" ? `answered ${result.status}` : shown(`${result.fault}: ${result.detail}`);
}

function whatFollows({ state, reason, atMs, nextAttemptAtMs }: DeliveryRecord): string {
  if (state === "delivered") return "delivered";
  if (nextAttemptAtMs === null) return `no next attempt, ${state}${reason === null ? "" : `: ${shown(reason)}`}`;
  return `next attempt at ${timeOfDay(nextAttemptAtMs)}, in ${waitOf(nextAttemptAtMs - atMs)}`;
}

function waitOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** After the load: waits until nothing is owed, asks the API for what has not come, and ends when nothing comes any more. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Book } from "./book.ts";
import type { Fleet } from "./fleet.ts";

/** Longer than any lease or claim, and than a session of a Kafka group. */
const SILENT_MS = 45_000;
const WITHIN_MS = 150_000;
const LOOK_MS = 50;
/** Without an arrival for so long the API is asked how the rest stands. */
const ASK_AFTER_MS = 3000;
const ASKED_AT_ONCE = 8;
const ASKED_MAX = 400;
const SAMPLE = 40;
const SHOWN_WITHIN_MS = 3000;
const running = new AbortController().signal;

interface EventView {
  readonly state?: string;
  readonly deliveries?: readonly { readonly state: string; readonly next_attempt_at: string | null }[];
}

/** Resolves when all is delivered or dead, or is a loss as far as can be told. */
export async function untilSettled(book: Book, fleet: Fleet, tenant: string): Promise<void> {
  const endAt = systemClock.monotonic() + WITHIN_MS;
  const startedAt = systemClock.monotonic();
  let askedAt = 0;
  while (book.open().length > 0) {
    const nowMs = systemClock.monotonic();
    const quietMs = nowMs - Math.max(book.lastArrivalMs, startedAt);
    if (nowMs > endAt || (quietMs > SILENT_MS && book.missing().length === book.open().length)) return;
    if (quietMs > ASK_AFTER_MS && nowMs - askedAt > ASK_AFTER_MS) {
      await askStandings(book, fleet, tenant);
      askedAt = systemClock.monotonic();
    }
    await systemClock.sleep(LOOK_MS, running);
  }
}

/** Of a sample of what was delivered, how many the API does not show as that. */
export async function countUnshown(
  ids: readonly string[],
  fleet: Fleet,
  tenant: string,
): Promise<{ readonly of: number; readonly unshown: number }> {
  const step = Math.max(1, Math.floor(ids.length / SAMPLE));
  const sample = ids.filter((_, index) => index % step === 0).slice(0, SAMPLE);
  const endAt = systemClock.monotonic() + SHOWN_WITHIN_MS;
  let unshown: readonly string[] = sample;
  for (;;) {
    const states = await askAll(unshown, fleet, tenant);
    unshown = unshown.filter((id) => states.get(id)?.state !== "delivered");
    if (unshown.length === 0 || systemClock.monotonic() > endAt) return { of: sample.length, unshown: unshown.length };
    await systemClock.sleep(LOOK_MS * 4, running);
  }
}

async function askStandings(book: Book, fleet: Fleet, tenant: string): Promise<void> {
  const states = await askAll(book.open().slice(0, ASKED_MAX), fleet, tenant);
  for (const [id, { state, deliveries = [] }] of states) {
    if (state === "dead") book.stand(id, "dead", systemClock.monotonic());
    const isPlanned = deliveries.some(
      ({ state: each, next_attempt_at: next }) =>
        each !== "delivered" && next !== null && Date.parse(next) > systemClock.now(),
    );
    if (isPlanned) book.stand(id, "planned", systemClock.monotonic());
  }
}

async function askAll(ids: readonly string[], fleet: Fleet, tenant: string): Promise<ReadonlyMap<string, EventView>> {
  const views = new Map<string, EventView>();
  for (let at = 0; at < ids.length; at += ASKED_AT_ONCE) {
    const some = ids.slice(at, at + ASKED_AT_ONCE);
    const answers = await Promise.all(
      some.map((id) => fleet.ask(`/v1/events/${id}?tenant=${tenant}`).catch(() => null)),
    );
    some.forEach((id, index) => {
      const answer = answers[index];
      if (answer?.status === 200) views.set(id, answer.body);
    });
  }
  return views;
}

/**
 * A burst of LOW: the age of the oldest event that was not delivered is in /metrics from its acceptance to its delivery, and
 * right against the clock of the publisher and the receiver, which is one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { WRITTEN_AT_SLACK, WRITTEN_AT_SLACK_MS } from "@posthaste/shared/ports/partition-log.ts";
import { openReceiver } from "../support/receiver.ts";
import { scrape } from "../support/scrape.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const EVENTS = process.env["POSTHASTE_FULL"] === "1" ? 50_000 : 1500;
const BATCH = 100;
const WITHIN_MS = 900_000;
/** Between two scrapes: what /metrics says is kept for a second. */
const SCRAPE_EVERY_MS = 1100;
/** From an arrival at the receiver to the moment from which on it counts as done, on a machine with everything on it. */
const SETTLED_MS = 3000;
/** Of the clocks' whole milliseconds, and of appends that overtake each other. */
const ROUNDED_MS = 100;

interface Sent {
  readonly fromMs: number;
  readonly toMs: number;
  arrivedAtMs: number;
}

/** What the publisher and the receiver know. */
function createBook() {
  const sent: Sent[] = [];
  /** Ages that the oldest event may have that was undelivered between `fromMs` and `toMs`, in ms; null: there was none for sure. */
  function agesOf(fromMs: number, toMs: number): { readonly leastMs: number | null; readonly mostMs: number } {
    const still = sent.find(({ arrivedAtMs }) => arrivedAtMs > toMs);
    const maybe = sent.find(({ arrivedAtMs }) => arrivedAtMs > fromMs - SETTLED_MS);
    return {
      leastMs: still === undefined ? null : fromMs - still.toMs - ROUNDED_MS,
      mostMs: maybe === undefined ? 0 : toMs - maybe.fromMs + ROUNDED_MS,
    };
  }
  return { sent, agesOf, arrivedCount: () => sent.filter(({ arrivedAtMs }) => arrivedAtMs < Infinity).length };
}

async function publishBurst(harness: DistributedHarness, sent: Sent[]): Promise<void> {
  while (sent.length < EVENTS) {
    const first = sent.length;
    const events = Array.from({ length: BATCH }, (_, index) => ({
      type: "burst.low",
      priority: "LOW",
      data: first + index,
    }));
    const fromMs = systemClock.now();
    const { status, body } = await harness.ask(0, "/v1/events/batch", { events });
    assert.equal(status, 200);
    const taken = (body["data"] as { readonly status: number }[]).filter((each) => each.status === 202);
    assert.equal(taken.length, BATCH);
    const toMs = systemClock.now();
    sent.push(...events.map(() => ({ fromMs, toMs, arrivedAtMs: Infinity })));
  }
}

/** The largest age of all programs and of both places where an event may wait, as an operator looks at it; null: none is shown. */
async function shownAgeMs(urls: readonly (string | undefined)[]): Promise<number | null> {
  const seen = await Promise.all(urls.map(scrape));
  const ages = seen.flatMap((each) => [
    ...each.values("posthaste_queue_lag_seconds", { queue: "low" }),
    ...each.values("posthaste_retry_deferred_age_seconds"),
  ]);
  return ages.length === 0 ? null : Math.max(...ages) * 1000;
}

test(`the age of the oldest of ${EVENTS} LOW events is shown while they wait, and is right by the receiver's clock`, async () => {
  const book = createBook();
  await using receiver = await openReceiver((_request, response, body) => {
    const { data } = JSON.parse(body.toString()) as { readonly data: number };
    const event = book.sent[data];
    if (event !== undefined) event.arrivedAtMs = Math.min(event.arrivedAtMs, systemClock.now());
    response.writeHead(200).end();
  });
  await using harness = await openDistributedHarness({ gateways: 1, processors: 0 });
  const created = await harness.ask(0, "/v1/endpoints", { url: receiver.url, event_types: ["burst.*"] });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const urls: string[] = [harness.gateways[0]?.url ?? ""];
  const checked = { waiting: 0, draining: 0 };

  async function check(phase: keyof typeof checked): Promise<void> {
    const fromMs = systemClock.now();
    const shownMs = await shownAgeMs(urls);
    const { leastMs, mostMs } = book.agesOf(fromMs, systemClock.now());
    const told = `shown ${shownMs}, at least ${leastMs}, at most ${mostMs} (${phase}, ${book.arrivedCount()} arrived)`;
    if (leastMs !== null) {
      assert.ok(shownMs !== null, told);
      assert.ok(shownMs >= leastMs - Math.max(WRITTEN_AT_SLACK_MS, leastMs * WRITTEN_AT_SLACK), told);
      checked[phase] += 1;
    }
    assert.ok((shownMs ?? 0) <= mostMs, told);
    await systemClock.sleep(SCRAPE_EVERY_MS, new AbortController().signal);
  }

  await publishBurst(harness, book.sent);
  for (let round = 0; round < 3; round++) await check("waiting");
  urls.push((await harness.add("processor")).url);
  const startedMs = systemClock.monotonic();
  while (book.arrivedCount() < EVENTS) {
    assert.ok(systemClock.monotonic() - startedMs < WITHIN_MS, `${book.arrivedCount()} arrived`);
    await check("draining");
  }
  await waitFor({
    fact: "no age to be shown any more",
    withinMs: WITHIN_MS,
    holds: async () => (await shownAgeMs(urls)) === null,
  });
  assert.ok(checked.waiting === 3 && checked.draining >= 1, JSON.stringify(checked));
  console.log(
    `${EVENTS} events, right in ${checked.waiting} scrapes before and ${checked.draining} while they were delivered`,
  );
});

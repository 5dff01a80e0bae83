/** The rate limit of one key over four gateways: exact, whatever the bursts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const GATEWAYS = 4;
/** Windows that each limit is put under load for. */
const WINDOWS = process.env["POSTHASTE_FULL"] === "1" ? 4 : 2;
const cases = [
  { limit: 1, windowMs: 500, workers: 8 },
  { limit: 7, windowMs: 700, workers: 16 },
  { limit: 100, windowMs: 1000, workers: 24 },
] as const;
const running = new AbortController().signal;

/** One request that was let in: it was counted at some moment between the two. */
interface Admission {
  readonly sentAt: number;
  readonly answeredAt: number;
}

interface Tally {
  readonly admitted: Admission[];
  denied: number;
}

async function createKey(harness: DistributedHarness, limit: number, windowMs: number): Promise<string> {
  const { status, body } = await harness.ask(0, "/v1/api-keys", {
    name: `limited to ${limit}`,
    tenant: `limited-${limit}`,
    scopes: ["publish"],
    rate_limit: { limit, window_ms: windowMs },
  });
  assert.equal(status, 201, JSON.stringify(body));
  return String(body["key"]);
}

async function publishOnce(harness: DistributedHarness, gateway: number, key: string, tally: Tally): Promise<void> {
  const sentAt = systemClock.monotonic();
  const { status, body } = await harness.ask(gateway, "/v1/events", { type: "a.b", data: {} }, key);
  assert.ok(status === 202 || status === 429, `${status} ${JSON.stringify(body)}`);
  if (status === 202) tally.admitted.push({ sentAt, answeredAt: systemClock.monotonic() });
  else tally.denied += 1;
}

/** Without a pause between requests, all gateways at once; then bursts, each at the moment a window ends. */
async function load(harness: DistributedHarness, key: string, { limit, windowMs, workers }: (typeof cases)[number]) {
  const tally: Tally = { admitted: [], denied: 0 };
  const endAt = systemClock.monotonic() + WINDOWS * windowMs;
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      while (systemClock.monotonic() < endAt) await publishOnce(harness, worker % GATEWAYS, key, tally);
    }),
  );
  for (let burst = 0; burst < WINDOWS; burst++) {
    const last = tally.admitted.slice(-limit)[0]?.answeredAt ?? systemClock.monotonic();
    await systemClock.sleep(Math.max(0, last + windowMs - systemClock.monotonic() - 5), running);
    const requests = Array.from({ length: limit + workers }, (_, at) =>
      publishOnce(harness, at % GATEWAYS, key, tally),
    );
    await Promise.all(requests);
  }
  return tally;
}

/** The shortest time that holds `limit` + 1 admissions for sure; Infinity when there are not so many. */
function tightest(admitted: readonly Admission[], limit: number): number {
  let shortest = Infinity;
  for (const first of admitted) {
    const later = admitted
      .filter(({ sentAt }) => sentAt >= first.sentAt)
      .map(({ answeredAt }) => answeredAt)
      .toSorted((left, right) => left - right);
    shortest = Math.min(shortest, (later[limit] ?? Infinity) - first.sentAt);
  }
  return shortest;
}

test(`a key's limit holds over ${GATEWAYS} gateways in every window, and all of it can be used`, async () => {
  await using harness = await openDistributedHarness({ gateways: GATEWAYS, processors: 0 });
  for (const one of cases) {
    const key = await createKey(harness, one.limit, one.windowMs);
    const { admitted, denied } = await load(harness, key, one);
    const shortestMs = tightest(admitted, one.limit);
    console.log(
      `limit ${one.limit} in ${one.windowMs} ms: ${admitted.length} in, ${denied} refused, ${one.limit + 1} within ${Math.round(shortestMs)} ms at the least`,
    );
    assert.ok(shortestMs >= one.windowMs, `${one.limit + 1} requests were let in within ${shortestMs} ms`);
    assert.ok(denied > 0, "the load was above the limit");
    assert.ok(admitted.length >= one.limit * WINDOWS, `only ${admitted.length} were let in`);
  }
});

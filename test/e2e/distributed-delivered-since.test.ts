/**
 * What was dead and was sent again and delivered is no dead letter any more, on real Redis and Kafka, although processors are
 * killed while that is settled.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { seededEntropy } from "../support/ambient.ts";
import { openReceiver } from "../support/receiver.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { killProcessor, openDistributedHarness } from "./distributed-harness.ts";

const { SEED: seedText = "1" } = process.env;
const entropy = seededEntropy(Number(seedText));
const EVENTS = 24;
const KILLS = 3;
const PATIENCE_MS = 90_000;
const running = new AbortController().signal;

async function deadIn(harness: DistributedHarness): Promise<readonly string[]> {
  const { status, body } = await harness.ask(0, "/v1/dead-letters?limit=100");
  assert.equal(status, 200, JSON.stringify(body));
  return (body["data"] as readonly { readonly event_id: string }[]).map(({ event_id: id }) => id);
}

async function untilDead(harness: DistributedHarness, count: number): Promise<readonly string[]> {
  const deadline = systemClock.monotonic() + PATIENCE_MS;
  for (;;) {
    const dead = await deadIn(harness);
    if (dead.length === count || systemClock.monotonic() > deadline) return dead;
    await systemClock.sleep(200, running);
  }
}

test(`die, mend, send again: no dead letter is left of ${EVENTS}, through ${KILLS} SIGKILLs of processors`, async () => {
  const timesById = new Map<string, number>();
  let status = 500;
  await using receiver = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    if (status === 200) timesById.set(id, (timesById.get(id) ?? 0) + 1);
    response.writeHead(status).end();
  });
  await using harness = await openDistributedHarness({ gateways: 1, processors: 2 });
  const ids: string[] = [];
  // An endpoint for each, so that no breaker keeps any of them.
  for (let index = 0; index < EVENTS; index++) {
    const endpoint = { url: receiver.url, event_types: [`order.n${index}`], retry: { delays_s: [0] } };
    assert.equal((await harness.ask(0, "/v1/endpoints", endpoint)).status, 201);
    const published = await harness.ask(0, "/v1/events", { type: `order.n${index}`, data: { index } });
    assert.equal(published.status, 202, JSON.stringify(published.body));
    ids.push(String(published.body["id"]));
  }
  assert.equal((await untilDead(harness, EVENTS)).length, EVENTS);
  status = 200;
  for (const [index, id] of ids.entries()) {
    const resent = await harness.ask(0, `/v1/events/${id}/resend`, {});
    assert.equal(resent.status, 202, JSON.stringify(resent.body));
    if (index % (EVENTS / KILLS) !== EVENTS / KILLS - 1) continue;
    const before = timesById.size;
    const deadline = systemClock.monotonic() + PATIENCE_MS;
    while (timesById.size === before && systemClock.monotonic() < deadline) await systemClock.sleep(1, running);
    await systemClock.sleep(entropy.fraction() * 40, running);
    await killProcessor(harness);
  }
  assert.deepEqual(await untilDead(harness, 0), []);
  assert.deepEqual(
    ids.filter((id) => !timesById.has(id)),
    [],
  );
  for (const id of ids) {
    const { body } = await harness.ask(0, `/v1/events/${id}`);
    assert.equal(body["state"], "delivered", JSON.stringify(body));
    const first = (body["deliveries"] as readonly { replayed_at: string | null; reason: string }[]).find(
      ({ replayed_at: at }) => at === null,
    );
    assert.match(first?.reason ?? "", /then delivered by a replay at/);
  }
  const again = await harness.ask(0, "/v1/dead-letters/replay", {});
  assert.deepEqual([again.body["matched"], again.body["replayed"]], [0, 0]);
});

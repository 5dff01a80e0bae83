/**
 * The ledger tells the truth after processors were killed: what was delivered is shown as delivered, and nothing stays
 * pending. Kills fall while deliveries are settled, which is when an ack and its record may part.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { seededEntropy } from "../support/ambient.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { killProcessor, openDistributedHarness } from "./distributed-harness.ts";
import { openCounter, planOf, publishAll, untilDelivered } from "./load-under-kills.ts";

const { SEED: seedText = "1" } = process.env;
const entropy = seededEntropy(Number(seedText));
const EVENTS = 600;
const KILLS = 8;
const PATIENCE_MS = 100_000;
const running = new AbortController().signal;

/** Events that the API does not show as delivered, with what it shows. */
async function untrue(harness: DistributedHarness, ids: readonly string[]): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const id of ids) {
    const { status, body } = await harness.ask(0, `/v1/events/${id}`);
    const states = ((body["deliveries"] ?? []) as readonly { readonly state: string }[]).map(({ state }) => state);
    if (status !== 200 || states.length !== 1 || states[0] !== "delivered")
      wrong.push(`${id} ${status} ${states.join()}`);
  }
  return wrong;
}

test(`after ${KILLS} SIGKILLs of processors the ledger shows each of ${EVENTS} delivered events as delivered`, async () => {
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({ gateways: 1, processors: 2 });
  assert.equal((await harness.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
  const target = { url: () => harness.gateways[0]?.url ?? "", isUp: () => Promise.resolve(), key: harness.operatorKey };
  const acknowledged: string[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const plans = Array.from({ length: EVENTS / KILLS }, (_, index) => planOf((kill * EVENTS) / KILLS + index));
    const before = counter.arrivals();
    acknowledged.push(...(await publishAll(target, plans.values(), () => undefined)));
    // Some of the round were answered just now: their records and acks are on their way.
    const enough = before + 1 + Math.floor((entropy.fraction() * EVENTS) / KILLS / 2);
    while (counter.arrivals() < enough) await systemClock.sleep(1, running);
    await systemClock.sleep(entropy.fraction() * 40, running);
    await killProcessor(harness);
  }
  assert.equal(acknowledged.length, EVENTS);
  assert.deepEqual(await untilDelivered(new Set(acknowledged), counter), []);
  const deadline = systemClock.monotonic() + PATIENCE_MS;
  let wrong = await untrue(harness, acknowledged);
  while (wrong.length > 0 && systemClock.monotonic() < deadline) {
    await systemClock.sleep(1000, running);
    wrong = await untrue(
      harness,
      wrong.map((line) => line.split(" ")[0] ?? ""),
    );
  }
  assert.deepEqual(wrong, []);
});

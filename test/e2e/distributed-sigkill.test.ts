/**
 * Promise 1 across machines: what was answered 202 is delivered, or dead-lettered with a reason, while gateways and
 * processors are killed at random on real Redis and Kafka. Duplicates are counted and printed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Program } from "posthaste/program.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { seededEntropy } from "../support/ambient.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import type { Plan } from "./load-under-kills.ts";
import { openCounter, planOf, publishAll, untilDelivered } from "./load-under-kills.ts";

const isFull = process.env["POSTHASTE_FULL"] === "1";
const { POSTHASTE_SIGKILL_DISTRIBUTED_EVENTS: eventsText = isFull ? "20000" : "6000", SEED: seedText = "1" } =
  process.env;
const EVENTS = Number(eventsText);
const entropy = seededEntropy(Number(seedText));
const KILLS = 8;
/** One event in so many goes to an endpoint that is gone: 410 on the first attempt disables it. */
const DOOMED = 20;
const PATIENCE_MS = 100_000;
const running = new AbortController().signal;

/** Ends a random program of the kind and starts another in its place; others of its kind go on meanwhile. */
async function killOne(harness: DistributedHarness, kind: Parameters<DistributedHarness["add"]>[0]): Promise<void> {
  const programs = kind === "gateway" ? harness.gateways : harness.processors;
  const [victim] = programs.splice(Math.floor(entropy.fraction() * programs.length), 1);
  assert.ok(victim !== undefined);
  assert.equal((await victim.end("SIGKILL")).signal, "SIGKILL");
  await harness.add(kind);
}

function isDoomed(index: number): boolean {
  return index % DOOMED === DOOMED - 1;
}

/** Every dead letter of the endpoint, by event id. */
async function readDead(harness: DistributedHarness, endpointId: string): Promise<Map<string, string>> {
  const reasonById = new Map<string, string>();
  let cursor: string | null = null;
  do {
    const query: string = `endpoint_id=${endpointId}&limit=100${cursor === null ? "" : `&cursor=${cursor}`}`;
    const { status, body } = await harness.ask(0, `/v1/dead-letters?${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    const { data, next_cursor: next } = body as {
      readonly data: readonly { readonly event_id: string; readonly reason: string }[];
      readonly next_cursor: string | null;
    };
    for (const { event_id: id, reason } of data) reasonById.set(id, reason);
    cursor = next;
  } while (cursor !== null);
  return reasonById;
}

async function untilDead(harness: DistributedHarness, endpointId: string, ids: ReadonlySet<string>) {
  const deadline = systemClock.monotonic() + PATIENCE_MS;
  for (;;) {
    const reasonById = await readDead(harness, endpointId);
    if ([...ids].every((id) => reasonById.has(id)) || systemClock.monotonic() > deadline) return reasonById;
    await systemClock.sleep(250, running);
  }
}

test(`every one of ${EVENTS} acknowledged events is delivered or dead-lettered through ${KILLS} SIGKILLs of gateways and processors`, async () => {
  await using counter = await openCounter();
  await using refusing = await openCounter(410);
  await using harness = await openDistributedHarness({ gateways: 2, processors: 2 });
  const create = async (body: unknown): Promise<string> => {
    const created = await harness.ask(0, "/v1/endpoints", body);
    assert.equal(created.status, 201, JSON.stringify(created.body));
    return String(created.body["id"]);
  };
  await create({ url: counter.url, event_types: ["load.*"] });
  const refusingId = await create({ url: refusing.url, event_types: ["doomed"] });
  const startedAt = systemClock.monotonic();
  const doomedPlans = new Set<Plan>();
  const plans = Array.from({ length: EVENTS }, (_, index) => {
    const plan = isDoomed(index) ? planOf(index, "doomed") : planOf(index);
    if (isDoomed(index)) doomedPlans.add(plan);
    return plan;
  });
  const doomed = new Set<string>();
  const points = new Set(
    Array.from({ length: KILLS }, (_, at) => Math.floor(((at + entropy.fraction()) * EVENTS) / KILLS)),
  );
  let kills = Promise.resolve();
  let killed = 0;
  const alive = (): Program => {
    const { gateways } = harness;
    const chosen = gateways[Math.floor(entropy.fraction() * gateways.length)];
    assert.ok(chosen !== undefined, "one gateway is always up");
    return chosen;
  };
  const target = { url: () => alive().url, isUp: () => Promise.resolve(), key: harness.operatorKey };
  const acknowledged = await publishAll(target, plans.values(), (count, plan, id) => {
    if (doomedPlans.has(plan)) doomed.add(id);
    if (!points.has(count)) return;
    const kind = entropy.fraction() < 0.4 ? "gateway" : "processor";
    kills = kills.then(() => killOne(harness, kind)).then(() => void (killed += 1));
  });
  await kills;
  const owed = new Set([...acknowledged].filter((id) => !doomed.has(id)));
  const lost = await untilDelivered(owed, counter);
  const reasonById = await untilDead(harness, refusingId, doomed);
  const undead = [...doomed].filter((id) => !reasonById.has(id));
  const duplicates = [...counter.timesById.values()].reduce((sum, times) => sum + times - 1, 0);
  const seconds = ((systemClock.monotonic() - startedAt) / 1000).toFixed(1);
  console.log(
    `SEED=${seedText}: ${killed} kills, ${acknowledged.size} acknowledged, ${lost.length + undead.length} lost, ${reasonById.size} dead letters, ${duplicates} duplicates, ${seconds} s`,
  );
  assert.equal(acknowledged.size, EVENTS);
  assert.equal(killed, KILLS);
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} acknowledged events were not delivered`);
  assert.deepEqual(undead.slice(0, 5), [], `${undead.length} events that cannot be delivered are not dead letters`);
  assert.ok([...reasonById.values()].every((reason) => reason !== ""));
  assert.ok(duplicates <= KILLS * PROCESSOR_LIMITS.inFlightMax, `${duplicates} duplicates`);
});

/**
 * Promise 1 at the edge: what a gateway there answered 202 is delivered, though it is killed at any step of accepting, and
 * though the processors are killed whose relay takes the spool to Kafka.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Worker } from "../support/workerd/start-worker.ts";
import { seededEntropy } from "../support/ambient.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { EDGES, openEdgeHarness } from "./edge-harness.ts";
import type { EdgeHarness } from "./edge-harness.ts";
import type { Plan } from "./load-under-kills.ts";
import { openCounter, planOf, publishAll, untilDelivered } from "./load-under-kills.ts";

const EVENTS = 600;
const KILLS = 2;
/** More steps than an accept has. */
const STEPS_MAX = 30;
/** Commands of an accept by a new instance, those after its answer too; of HIGH and of LOW. */
const SILENT_STEPS = 16;
/** Nothing is slow here: what did not come by then was lost. */
const QUIET_MS = 15_000;
const entropy = seededEntropy(1);

function priorityOf(step: number): string {
  return step % 2 === 0 ? "HIGH" : "LOW";
}

/** Null: the worker was killed when Redis had carried out the command that is `step`, from 0, of those of this request. */
async function publishKilledAt(edge: EdgeHarness, step: number, plan: Plan): Promise<number | null> {
  await using worker = await edge.startWorker();
  let commands = 0;
  edge.proxy.onDone = async () => {
    if (commands++ !== step) return "pass";
    await worker.end("SIGKILL");
    return "hold";
  };
  const status = await publish(worker, edge.deployment.operatorKey, plan);
  // What was kept after its answer may be under way.
  edge.proxy.onDone = () => "pass";
  return status;
}

async function publish(worker: Worker, key: string, { body, headers }: Plan): Promise<number | null> {
  const all = { ...headers, authorization: `Bearer ${key}`, "content-type": "application/json" };
  return await fetch(`${worker.url}/v1/events`, { method: "POST", headers: all, body }).then(
    ({ status }) => status,
    () => null,
  );
}

/** Id and status of an event whose accept meets a Redis that never gets the command `step`. The worker is killed then. */
async function publishSilentAt(
  edge: EdgeHarness,
  step: number,
): Promise<{ readonly id: string; readonly status: number | null }> {
  await using proxy = await edge.openProxy();
  await using worker = await edge.startWorker({ UPSTASH_REDIS_REST_URL: proxy.url });
  let commands = 0;
  proxy.onCommand = () => (commands++ === step ? "hold" : "pass");
  const id = `silent-${step}`;
  const event = { type: "edge.silent", priority: priorityOf(step), id, data: { step } };
  return {
    id,
    status: await publish(worker, edge.deployment.operatorKey, { body: JSON.stringify(event), headers: {} }),
  };
}

for (const [runtime, startEdge] of Object.entries(EDGES)) {
  test(`${runtime}: killed at each step of accepting, the edge acknowledges nothing that is lost, and a repeat is one event`, async () => {
    await using counter = await openCounter();
    await using edge = await openEdgeHarness({ processors: 1 }, startEdge);
    const { deployment } = edge;
    assert.equal((await deployment.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
    const plans: Plan[] = [];
    for (let step = 0; step < STEPS_MAX; step++) {
      const event = { type: "edge.killed", priority: priorityOf(step), id: `step-${step}`, data: { step } };
      const plan = { body: JSON.stringify(event), headers: { "idempotency-key": `key-${step}` } };
      const status = await publishKilledAt(edge, step, plan);
      if (status === null) plans.push(plan);
      else assert.equal(status, 202);
      if (status !== null) break;
    }
    assert.ok(plans.length >= 6 && plans.length < STEPS_MAX, `${plans.length} steps`);
    await using worker = await edge.startWorker();
    const target = { url: () => worker.url, isUp: () => Promise.resolve(), key: deployment.operatorKey };
    const acknowledged = await publishAll(target, plans.values(), () => undefined);
    assert.deepEqual([...acknowledged].toSorted(), plans.map((_, step) => `step-${step}`).toSorted());
    assert.deepEqual(await untilDelivered(acknowledged, counter), []);
  });

  test(`${runtime}: whichever command of accepting Redis never gets, the edge acknowledges nothing that is lost`, async () => {
    await using counter = await openCounter();
    await using edge = await openEdgeHarness({ processors: 1 }, startEdge);
    assert.equal((await edge.deployment.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
    const steps = Array.from({ length: SILENT_STEPS }, (_, step) => step);
    const answers = await Promise.all(steps.map((step) => publishSilentAt(edge, step)));
    const acknowledged = new Set(answers.flatMap(({ id, status }) => (status === 202 ? [id] : [])));
    // The ledger, and the answer of a claim, are no part of the promise; the append is.
    assert.ok(acknowledged.size > 0 && acknowledged.size < SILENT_STEPS, JSON.stringify(answers));
    assert.deepEqual(await untilDelivered(acknowledged, counter, QUIET_MS), []);
  });

  test(`${runtime}: what is written after an answer is given up when Redis is silent, and takes no later request along`, async () => {
    await using edge = await openEdgeHarness({ processors: 0 }, startEdge);
    await using worker = await edge.startWorker();
    const { operatorKey } = edge.deployment;
    const plan = { body: JSON.stringify({ type: "edge.kept", priority: "HIGH", data: {} }), headers: {} };
    edge.proxy.onCommand = (command) => (/\}(?:ledger|stats:)/.test(command) ? "hold" : "pass");
    assert.equal(await publish(worker, operatorKey, plan), 202);
    await waitFor({
      fact: "the log to say what was given up",
      withinMs: QUIET_MS,
      holds: () => worker.printed().includes('"projection.dropped"'),
    });
    edge.proxy.onCommand = () => "pass";
    assert.equal(await publish(worker, operatorKey, plan), 202);
  });
}

test(`${EVENTS} events that the edge accepted are delivered through ${KILLS} SIGKILLs of the processors that relay them`, async () => {
  await using counter = await openCounter();
  await using edge = await openEdgeHarness({ processors: 1 });
  await using worker = await edge.startWorker();
  const { deployment } = edge;
  assert.equal((await deployment.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
  const points = new Set(
    Array.from({ length: KILLS }, (_, at) => Math.floor(((at + entropy.fraction()) * EVENTS) / KILLS)),
  );
  let kills = Promise.resolve();
  let killed = 0;
  async function killProcessor(): Promise<void> {
    const victim = deployment.processors.shift();
    assert.equal((await victim?.end("SIGKILL"))?.signal, "SIGKILL");
    await deployment.add("processor");
    killed += 1;
  }
  const target = { url: () => worker.url, isUp: () => Promise.resolve(), key: deployment.operatorKey };
  const plans = Array.from({ length: EVENTS }, (_, index) => planOf(index));
  const acknowledged = await publishAll(target, plans.values(), (count) => {
    if (points.has(count)) kills = kills.then(killProcessor);
  });
  await kills;
  const lost = await untilDelivered(acknowledged, counter);
  assert.deepEqual([acknowledged.size, killed], [EVENTS, KILLS]);
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} acknowledged events were not delivered`);
});

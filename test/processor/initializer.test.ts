/** A processor's set-up: in order, repeated until it succeeds, and red on /readyz until then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { STEP_WAIT_MS, STEP_WAIT_MS_MAX, createInitializer } from "@posthaste/processor/initializer.ts";
import { createStatus } from "@posthaste/processor/status.ts";
import type { StartStep } from "@posthaste/shared/ports/drivers.ts";
import { seededEntropy } from "../support/ambient.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

const running = new AbortController().signal;

/** Steps that fail so often before they succeed, and what was done. */
function openWorld(failures: readonly number[]) {
  const clock = createManualClock(0);
  const done: string[] = [];
  const waits: number[] = [];
  const steps: StartStep[] = failures.map((count, index) => {
    let left = count;
    return {
      name: `Step ${index}`,
      run() {
        done.push(`${index}`);
        return left-- > 0 ? Promise.reject(new Error(`broker ${index} is away`)) : Promise.resolve();
      },
    };
  });
  const initializer = createInitializer({
    steps,
    clock,
    entropy: seededEntropy(1),
    onFailure: (_step, _error, waitMs) => void waits.push(waitMs),
  });
  return { clock, done, waits, initializer };
}

test("steps run in order, and nothing is missing when all succeeded", async () => {
  const { initializer, done } = openWorld([0, 0, 0]);
  assert.equal(initializer.missing(), "Step 0 is being set up.");
  await initializer.run(running);
  assert.deepEqual([done, initializer.missing()], [["0", "1", "2"], null]);
});

test("a step that fails is repeated with growing waits, and the next one waits for it", async () => {
  const { clock, initializer, done, waits } = openWorld([0, 12, 0]);
  const ran = initializer.run(running);
  await clock.settle();
  assert.deepEqual(done, ["0", "1"]);
  assert.equal(initializer.missing(), "Step 1 could not be set up yet: the log says why (loop.failed).");
  await clock.advance(20 * STEP_WAIT_MS_MAX);
  await ran;
  assert.deepEqual(done, ["0", ...Array.from({ length: 13 }, () => "1"), "2"]);
  assert.equal(waits.length, 12);
  for (const [turn, waitMs] of waits.entries()) {
    const planned = Math.min(STEP_WAIT_MS * 2 ** turn, STEP_WAIT_MS_MAX);
    assert.ok(waitMs >= planned / 2 && waitMs < planned * 1.5, `wait ${turn}: ${waitMs} ms`);
  }
});

test("an abort ends the set-up in the middle of a step that hangs", async () => {
  const clock = createManualClock(0);
  const stopping = new AbortController();
  const initializer = createInitializer({
    steps: [{ name: "Step 0", run: () => new Promise(() => undefined) }],
    clock,
    entropy: seededEntropy(1),
    onFailure: () => undefined,
  });
  const ran = initializer.run(stopping.signal);
  stopping.abort();
  await ran;
  assert.equal(initializer.missing(), "Step 0 is being set up.");
});

test("an abort ends the set-up in the middle of a wait", async () => {
  const { clock, initializer, done } = openWorld([1000]);
  const controller = new AbortController();
  const ran = initializer.run(controller.signal);
  await clock.settle();
  controller.abort();
  await ran;
  assert.deepEqual(done, ["0"]);
});

function openStatus(parts: {
  missing?: string;
  health?: () => Promise<string | null>;
  degraded?: () => Promise<readonly string[]>;
  isStopping?: boolean;
}) {
  const clock = createManualClock(0);
  const status = createStatus({
    clock,
    health: parts.health ?? (() => Promise.resolve(null)),
    degraded: parts.degraded ?? (() => Promise.resolve([])),
    missing: () => parts.missing ?? null,
    isStopping: () => parts.isStopping === true,
    collectMetrics: () => Promise.resolve("posthaste_x 1\n"),
  });
  const ask = (path: string, method = "GET") => status(new Request(`http://127.0.0.1:1${path}`, { method }));
  return { clock, ask };
}

async function detailOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { readonly detail?: unknown }).detail;
}

test("the paths of a processor are read: HEAD as GET, OPTIONS tells the methods, others are 405", async () => {
  const { ask } = openStatus({});
  for (const path of ["/livez", "/healthz", "/readyz", "/metrics"]) {
    assert.equal((await ask(path, "HEAD")).status, 200);
    for (const [method, status] of [
      ["OPTIONS", 204],
      ["POST", 405],
      ["DELETE", 405],
    ] as const) {
      const answer = await ask(path, method);
      assert.deepEqual([answer.status, answer.headers.get("allow")], [status, "GET, HEAD, OPTIONS"]);
    }
  }
  assert.equal((await ask("/", "POST")).status, 404);
});

test("/livez answers whatever the stores do, /metrics gives the text, and other paths are told where to go", async () => {
  const { ask } = openStatus({ health: () => Promise.reject(new Error("away")) });
  assert.deepEqual([(await ask("/livez")).status, (await ask("/healthz")).status], [200, 200]);
  assert.equal(await (await ask("/metrics")).text(), "posthaste_x 1\n");
  const lost = await ask("/");
  assert.equal(lost.status, 404);
  assert.match(String(await detailOf(lost)), /\/readyz/);
});

test("/readyz is 200 only when all is set up, healthy and not stopping, and says what is wrong otherwise", async () => {
  assert.equal((await openStatus({}).ask("/readyz")).status, 200);
  const missing = await openStatus({ missing: "The retry mechanism is being set up." }).ask("/readyz");
  assert.equal(missing.status, 503);
  assert.equal(await detailOf(missing), "The retry mechanism is being set up.");
  const sick = await openStatus({ health: () => Promise.resolve("Redis does not answer.") }).ask("/readyz");
  assert.equal(await detailOf(sick), "Redis does not answer.");
  const broken = await openStatus({ health: () => Promise.reject(new Error("x")) }).ask("/readyz");
  assert.equal(broken.status, 503);
  assert.equal((await openStatus({ isStopping: true }).ask("/readyz")).status, 503);
});

test("/readyz of a processor that goes on without a store is 200, and names the store", async () => {
  const degraded = () => Promise.resolve(["Kafka does not answer. HIGH is delivered from Redis."]);
  const answer = await openStatus({ degraded }).ask("/readyz");
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), { status: "ready", degraded: await degraded() });
});

test("/readyz does not wait for a store that hangs", async () => {
  const { clock, ask } = openStatus({ health: () => new Promise(() => undefined) });
  const asked = ask("/readyz");
  await clock.advance(3000);
  assert.match(String(await detailOf(await asked)), /did not answer within 3000 ms/);
});

/** Requests that take dead letters away go one after the other: what is sent is sent once, and what is deleted is not sent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { heldLettersLease } from "@posthaste/shared/ports/leases.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const PATH = "/v1/dead-letters";

async function createEndpoint(harness: GatewayHarness, tenant = "default"): Promise<string> {
  const answer = await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/", tenant } });
  return textAt(answer.json, "id");
}

/** As many requests as these at once, on a clock that goes on meanwhile. */
async function atOnce(harness: GatewayHarness, calls: readonly (readonly [method: string, path: string])[]) {
  const over = { count: 0 };
  const answers = calls.map(async ([method, path]) => {
    const answer = await harness.call(method, path, method === "POST" ? { body: {} } : {});
    over.count++;
    return answer;
  });
  while (over.count < calls.length) await harness.clock.advance(50);
  return (await Promise.all(answers)).map(({ status, json }) => ({ status, replayed: at(json, "replayed") }));
}

test("of replays at once, of one dead letter and of all, one sends it; a delete beside them is before or after, never both", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  const { id } = await harness.addDeadLetter({ endpointId });
  const one = ["POST", `${PATH}/${id}/replay`] as const;
  const singles = await atOnce(harness, [one, one, one]);
  assert.deepEqual(singles.map(({ status }) => String(status)).toSorted(), ["202", "404", "404"]);
  await harness.clock.advance(1000);
  assert.equal((await harness.takeDue()).length, 1);
  const second = await harness.addDeadLetter({ endpointId });
  const both = await atOnce(harness, [
    ["POST", `${PATH}/${second.id}/replay`],
    ["DELETE", `${PATH}/${second.id}`],
  ]);
  await harness.clock.advance(1000);
  const [sent, deleted] = both.map(({ status }) => status);
  const planned = (await harness.takeDue()).length;
  assert.deepEqual([sent, deleted, planned], deleted === 204 ? [404, 204, 0] : [202, 404, 1]);

  for (let count = 0; count < 5; count++) await harness.addDeadLetter({ endpointId });
  const ofEndpoint = ["POST", `/v1/endpoints/${endpointId}/replay`] as const;
  const all = await atOnce(harness, [["POST", `${PATH}/replay`], ofEndpoint, ["POST", `${PATH}/replay`], ofEndpoint]);
  assert.deepEqual(all.map(({ replayed }) => String(replayed)).toSorted(), ["0", "0", "0", "5"]);
  await harness.clock.advance(1000);
  assert.equal((await harness.takeDue()).length, 5);
});

test("409 request-in-flight with Retry-After while a replay of the tenant goes on for longer, and another tenant does not wait", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  const { id } = await harness.addDeadLetter({ endpointId });
  await harness.drivers.leases.acquire("dead-letters:default", "another gateway", 15_000);
  const other = await harness.addDeadLetter({ endpointId: await createEndpoint(harness, "acme"), tenant: "acme" });
  assert.equal((await harness.call("DELETE", `${PATH}/${other.id}`)).status, 204);
  const waiting = harness.call("POST", `${PATH}/${id}/replay`);
  await harness.clock.advance(2100);
  const refused = await waiting;
  assertProblem(refused, 409, "request-in-flight");
  assert.equal(refused.headers.get("retry-after"), "2");
  await harness.drivers.leases.release("dead-letters:default", "another gateway");
  assert.equal((await harness.call("POST", `${PATH}/${id}/replay`)).status, 202);
});

test("the turn of a gateway that died in it, before anything was planned, ends by itself; then the replay is made, once", async () => {
  const planning = Promise.withResolvers<void>();
  let calls = 0;
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: {
        ...drivers.retryQueue,
        schedule(items) {
          calls += 1;
          if (calls > 1) return drivers.retryQueue.schedule(items);
          planning.resolve();
          // Nothing more comes of a process that is killed here, nor does it give its lease back.
          return new Promise(() => undefined);
        },
      },
    }),
  });
  const { id } = await harness.addDeadLetter({ endpointId: await createEndpoint(harness) });
  void harness.call("POST", `${PATH}/${id}/replay`);
  await planning.promise;
  const early = harness.call("POST", `${PATH}/${id}/replay`);
  await harness.clock.advance(2100);
  assertProblem(await early, 409, "request-in-flight");
  await harness.clock.advance(15_000);
  assert.equal((await harness.call("POST", `${PATH}/${id}/replay`)).status, 202);
  await harness.clock.advance(1000);
  assert.equal((await harness.takeDue()).length, 1);
});

test("a replay of what is held for an endpoint waits while that is brought back, and one of what is dead does not", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  await harness.addDeadLetter({ endpointId, deadLetter: { state: "paused" } });
  const dead = await harness.addDeadLetter({ endpointId });
  await harness.drivers.leases.acquire(heldLettersLease(endpointId), "a processor", 15_000);
  const waiting = harness.call("POST", `/v1/endpoints/${endpointId}/replay`, { body: { status: "paused" } });
  const alone = harness.call("POST", `${PATH}/${dead.id}/replay`);
  await harness.clock.advance(2100);
  assertProblem(await waiting, 409, "request-in-flight");
  await harness.clock.advance(100);
  assert.equal((await alone).status, 202);
});

test("a replay of a whole tenant leaves what is held for an endpoint to whoever brings that back, and takes all else", async () => {
  await using harness = await openGatewayHarness();
  const [returning, resting] = [await createEndpoint(harness), await createEndpoint(harness)];
  const held = await harness.addDeadLetter({ endpointId: returning, deadLetter: { state: "paused" } });
  await harness.addDeadLetter({ endpointId: returning });
  await harness.addDeadLetter({ endpointId: resting, deadLetter: { state: "paused" } });
  const lease = heldLettersLease(returning);
  await harness.drivers.leases.acquire(lease, "a processor", 15_000);
  const first = await harness.call("POST", `${PATH}/replay`, { body: {} });
  assert.deepEqual([at(first.json, "replayed"), at(first.json, "skipped")], [2, 1]);
  assert.equal((await harness.call("GET", `${PATH}/${held.id}`)).status, 200);
  await harness.drivers.leases.release(lease, "a processor");
  const second = await harness.call("POST", `${PATH}/replay`, { body: {} });
  assert.deepEqual([at(second.json, "replayed"), at(second.json, "skipped")], [1, 0]);
  assert.equal(
    (await harness.drivers.leases.acquire(lease, "a processor", 15_000)).kind,
    "acquired",
    "it was given up",
  );
});

test("what was brought back between the look at a page and its lease is not replayed besides", async () => {
  const taken: (() => Promise<void>)[] = [];
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      leases: {
        ...drivers.leases,
        async acquire(name, holder, ms) {
          if (name.startsWith("recover:")) await taken.pop()?.();
          return drivers.leases.acquire(name, holder, ms);
        },
      },
    }),
  });
  const endpointId = await createEndpoint(harness);
  const held = await harness.addDeadLetter({ endpointId, deadLetter: { state: "paused" } });
  taken.push(() => harness.drivers.deadLetters.remove([held]));
  const answer = await harness.call("POST", `${PATH}/replay`, { body: {} });
  assert.deepEqual([at(answer.json, "replayed"), at(answer.json, "skipped")], [0, 1]);
  await harness.clock.advance(1000);
  assert.equal((await harness.takeDue()).length, 0);
});

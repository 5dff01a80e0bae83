/** The same request twice is one event: by Idempotency-Key, by the event's own id, and across a crash. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { CLAIM_KEPT_MS, CLAIM_LEASE_MS, claimsFull } from "@posthaste/shared/ports/claims.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Lanes } from "@posthaste/shared/ports/lanes.ts";
import { assertProblem, at, openGatewayHarness } from "../support/gateway-harness.ts";

const EVENT = { type: "order.paid", data: 1 };
const KEY = { "idempotency-key": '"k-1"' };

/** The set with another `append`. */
function withAppend(append: (real: Lanes["append"]) => Lanes["append"]): { wrap: (drivers: Drivers) => Drivers } {
  return {
    wrap: (drivers) => ({
      ...drivers,
      lanes: { ...drivers.lanes, append: append((envelopes) => drivers.lanes.append(envelopes)) },
    }),
  };
}

test("202 for the same key and body is the first answer, and one event", async () => {
  await using harness = await openGatewayHarness();
  const first = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  const second = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  assert.equal(first.headers.get("idempotent-replayed"), null);
  assert.equal(second.headers.get("idempotent-replayed"), "true");
  assert.deepEqual([second.status, second.text], [202, first.text]);
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("503 overloaded with Retry-After when no claim more can be kept; without a key of its own the event is taken", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      claims: { ...drivers.claims, claim: () => Promise.reject(claimsFull("tenant")) },
    }),
  });
  const refused = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  assertProblem(refused, 503, "overloaded");
  assert.match(String(at(refused.json, "detail")), /without an Idempotency-Key/);
  assert.equal(refused.headers.get("retry-after"), "300");
  assertProblem(await harness.call("POST", "/v1/events", { body: { ...EVENT, id: "own-1" } }), 503, "overloaded");
  const batch = await harness.call("POST", "/v1/events/batch", {
    body: { events: [{ ...EVENT, id: "own-2" }, EVENT] },
  });
  assertProblem(batch, 503, "overloaded");
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT })).status, 202);
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("202: quoted and bare forms of a key are one key", async () => {
  await using harness = await openGatewayHarness();
  const quoted = { "idempotency-key": String.raw`"a\"b\\c"` };
  const first = await harness.call("POST", "/v1/events", { body: EVENT, headers: { "idempotency-key": '"k-1"' } });
  const second = await harness.call("POST", "/v1/events", { body: EVENT, headers: { "idempotency-key": "k-1" } });
  const third = await harness.call("POST", "/v1/events", { body: EVENT, headers: quoted });
  assert.equal(second.text, first.text);
  assert.equal(third.status, 202);
  assert.notEqual(third.text, first.text);
});

test("422 idempotency-mismatch for the same key with another body", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  const answer = await harness.call("POST", "/v1/events", { body: { ...EVENT, data: 2 }, headers: KEY });
  assertProblem(answer, 422, "idempotency-mismatch");
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("422 idempotency-mismatch for the same key on the other route", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  const answer = await harness.call("POST", "/v1/events/batch", { body: { events: [EVENT] }, headers: KEY });
  assertProblem(answer, 422, "idempotency-mismatch");
});

test("a key is the tenant's own: two tenants may use the same", async () => {
  await using harness = await openGatewayHarness();
  const answers = [];
  for (const tenant of ["acme", "beta"]) {
    answers.push(await harness.call("POST", `/v1/events?tenant=${tenant}`, { body: EVENT, headers: KEY }));
  }
  assert.deepEqual(
    answers.map(({ status, headers }) => [status, headers.get("idempotent-replayed")]),
    [
      [202, null],
      [202, null],
    ],
  );
});

test("a request refused by validation does not use up its key", async () => {
  await using harness = await openGatewayHarness();
  assertProblem(await harness.call("POST", "/v1/events", { body: {}, headers: KEY }), 422, "validation-failed");
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY })).status, 202);
});

test("a key is free again after 24 hours", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  await harness.clock.advance(CLAIM_KEPT_MS + 1000);
  const answer = await harness.call("POST", "/v1/events", { body: { ...EVENT, data: 2 }, headers: KEY });
  assert.equal(answer.status, 202, answer.text);
});

test("409 request-in-flight with Retry-After while the first still runs", async () => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using harness = await openGatewayHarness(withAppend((real) => (envelopes) => gate.then(() => real(envelopes))));
  const first = harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  await harness.clock.settle();
  const second = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  assertProblem(second, 409, "request-in-flight");
  assert.match(second.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  release();
  assert.equal((await first).status, 202);
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY })).status, 202);
});

test("a failed append gives the key up at once, and the next try uses the same event id", async () => {
  const ids: string[] = [];
  let isDown = true;
  await using harness = await openGatewayHarness(
    withAppend((real) => async (envelopes) => {
      ids.push(...envelopes.map(({ id }) => id));
      if (isDown) throw new PosthasteError("overloaded", "The lane is full.");
      return real(envelopes);
    }),
  );
  const failed = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  assertProblem(failed, 503, "overloaded");
  assert.match(failed.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  isDown = false;
  const answer = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
  assert.equal(answer.status, 202);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
});

for (const isAppended of [false, true]) {
  const when = isAppended ? "after the append" : "before the append";
  test(`a crash between claim and answer, ${when}, leads to one event with the same id`, async () => {
    const ids: string[] = [];
    let isCrashed = false;
    // The first process stops for good within its append: nothing after it happens, as with SIGKILL.
    await using harness = await openGatewayHarness(
      withAppend((real) => async (envelopes) => {
        ids.push(...envelopes.map(({ id }) => id));
        if (isCrashed) return real(envelopes);
        isCrashed = true;
        if (isAppended) await real(envelopes);
        return new Promise<void>(() => undefined);
      }),
    );
    const lost = harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
    await harness.clock.settle();
    const early = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
    assertProblem(early, 409, "request-in-flight");
    await harness.clock.advance(CLAIM_LEASE_MS + 1);
    assertProblem(await lost, 503, "store-unavailable");
    const answer = await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY });
    assert.equal(answer.status, 202, answer.text);
    assert.deepEqual(new Set(ids), new Set([at(answer.json, "id")]));
    assert.equal((await harness.takeLane("medium")).length, 1);
  });
}

test("202 stands when the answer cannot be stored, for the event is durable", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      claims: { ...drivers.claims, complete: () => Promise.reject(new Error("disk")) },
    }),
  });
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY })).status, 202);
  assert.equal((await harness.takeLane("medium")).length, 1);
  assert.ok(harness.logged.some(({ event }) => event === "claim.not_completed"));
});

test("503 for requests with a key or an id while claims are away; the others are taken", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      claims: {
        ...drivers.claims,
        claim: () => Promise.reject(new PosthasteError("store-unavailable", "Claims are away.")),
      },
    }),
  });
  assertProblem(await harness.call("POST", "/v1/events", { body: EVENT, headers: KEY }), 503, "store-unavailable");
  assertProblem(await harness.call("POST", "/v1/events", { body: { ...EVENT, id: "a" } }), 503, "store-unavailable");
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT })).status, 202);
});

test("202 for the same id and body is the first answer; 409 id-conflict for another body", async () => {
  await using harness = await openGatewayHarness();
  const body = { ...EVENT, id: "order-7" };
  const first = await harness.call("POST", "/v1/events", { body });
  const second = await harness.call("POST", "/v1/events", { body });
  assert.deepEqual([second.status, second.text, second.headers.get("idempotent-replayed")], [202, first.text, "true"]);
  const third = await harness.call("POST", "/v1/events", { body: { ...body, data: 2 } });
  assertProblem(third, 409, "id-conflict");
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("an id is compared by what the event says, not by how its JSON is laid out", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/events", { body: '{"id":"x","type":"a","data":{"n":1}}' });
  const same = await harness.call("POST", "/v1/events", {
    body: '{"data":{"n":1}, "type":"a", "id":"x", "priority":"MEDIUM"}',
  });
  assert.equal(same.headers.get("idempotent-replayed"), "true");
  const other = await harness.call("POST", "/v1/events", { body: '{"id":"x","type":"a","data":{"n":1.0}}' });
  assertProblem(other, 409, "id-conflict");
});

test("key and id together: the key first, then the id", async () => {
  await using harness = await openGatewayHarness();
  const body = { ...EVENT, id: "order-8" };
  const first = await harness.call("POST", "/v1/events", { body });
  const keyed = await harness.call("POST", "/v1/events", { body, headers: KEY });
  assert.deepEqual([keyed.text, keyed.headers.get("idempotent-replayed")], [first.text, "true"]);
  const again = await harness.call("POST", "/v1/events", { body, headers: KEY });
  assert.equal(again.text, first.text);
  const conflict = { body: { ...body, data: 2 }, headers: { "idempotency-key": "k-2" } };
  assertProblem(await harness.call("POST", "/v1/events", conflict), 409, "id-conflict");
  assertProblem(await harness.call("POST", "/v1/events", conflict), 409, "id-conflict");
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("many requests with one key at once make one event", async () => {
  await using harness = await openGatewayHarness();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => harness.call("POST", "/v1/events", { body: EVENT, headers: KEY })),
  );
  assert.ok(answers.some(({ status }) => status === 202));
  assert.ok(answers.every(({ status }) => status === 202 || status === 409));
  assert.equal((await harness.takeLane("medium")).length, 1);
});

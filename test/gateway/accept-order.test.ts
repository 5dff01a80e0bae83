/** The order of the accept path: claims, append, stored answers; and when a step fails, the claims given up, last first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { assertProblem, openGatewayHarness } from "../support/gateway-harness.ts";

const EVENT = { type: "order.paid", data: 1, id: "order-1" };
const headers = { "idempotency-key": '"k-1"' };
const requests = {
  "one event": { path: "/v1/events", body: EVENT, status: 202 },
  "a batch": { path: "/v1/events/batch", body: { events: [EVENT] }, status: 200 },
} as const;

/** Writes each step into `steps`; `failing` is the one that fails. */
function withSteps(steps: string[], failing: () => string): (drivers: Drivers) => Drivers {
  const step = async <Value>(name: string, run: () => Promise<Value>): Promise<Value> => {
    steps.push(name);
    if (name === failing()) throw new PosthasteError("store-unavailable", "Away.");
    return run();
  };
  return (drivers) => {
    const { claims, lanes } = drivers;
    return {
      ...drivers,
      lanes: { ...lanes, append: (envelopes) => step("append", () => lanes.append(envelopes)) },
      claims: {
        ...claims,
        claim: (request) => step(`claim ${request.key}`, async () => claims.claim(request)),
        complete: (tenant, key, answer) => step(`complete ${key}`, () => claims.complete(tenant, key, answer)),
        abandon: (tenant, key) => step(`abandon ${key}`, () => claims.abandon(tenant, key)),
      },
    };
  };
}

for (const [what, { path, body, status }] of Object.entries(requests)) {
  test(`${what} claims its key, then its id, appends, and answers the id before the key`, async () => {
    const steps: string[] = [];
    await using harness = await openGatewayHarness({ wrap: withSteps(steps, () => "") });
    assert.equal((await harness.call("POST", path, { body, headers })).status, status);
    assert.deepEqual(steps, ["claim key:k-1", "claim id:order-1", "append", "complete id:order-1", "complete key:k-1"]);
  });

  test(`${what} with a failed append gives up the id, then the key; the repeat is accepted`, async () => {
    const steps: string[] = [];
    let failing = "append";
    await using harness = await openGatewayHarness({ wrap: withSteps(steps, () => failing) });
    assertProblem(await harness.call("POST", path, { body, headers }), 503, "store-unavailable");
    assert.deepEqual(steps.slice(2), ["append", "abandon id:order-1", "abandon key:k-1"]);
    failing = "";
    assert.equal((await harness.call("POST", path, { body, headers })).status, status);
    assert.equal((await harness.takeLane("medium")).length, 1);
  });

  test(`${what} whose id cannot be claimed gives up the key alone, and appends nothing`, async () => {
    const steps: string[] = [];
    await using harness = await openGatewayHarness({ wrap: withSteps(steps, () => "claim id:order-1") });
    assertProblem(await harness.call("POST", path, { body, headers }), 503, "store-unavailable");
    assert.deepEqual(steps, ["claim key:k-1", "claim id:order-1", "abandon key:k-1"]);
  });

  test(`${what} whose id is answered already stores that answer under the key, and appends nothing`, async () => {
    const steps: string[] = [];
    await using harness = await openGatewayHarness({ wrap: withSteps(steps, () => "") });
    await harness.call("POST", path, { body });
    steps.length = 0;
    assert.equal((await harness.call("POST", path, { body, headers })).status, status);
    assert.deepEqual(steps, ["claim key:k-1", "claim id:order-1", "complete key:k-1"]);
  });
}

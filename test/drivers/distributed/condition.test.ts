/** Ready is who can still do a part of the work; what is away is named with what goes on without it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoreChecks } from "@posthaste/shared/drivers/distributed/condition.ts";
import { createCondition } from "@posthaste/shared/drivers/distributed/condition.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

type Check = () => Promise<string | null>;

const well: Check = () => Promise.resolve(null);
const away =
  (name: string): Check =>
  () =>
    Promise.resolve(`${name} does not answer.`);
const hangs: Check = () => new Promise(() => undefined);
const breaks: Check = () => Promise.reject(new Error("a secret"));

const clock = createManualClock(0);

function conditionOf(role: "gateway" | "processor", parts: Partial<StoreChecks>, reading: string | null = null) {
  const checks = { redis: well, cache: null, kafka: well, ...parts };
  return createCondition({ role, checks, reading: () => reading, clock });
}

for (const role of ["gateway", "processor"] as const) {
  test(`${role}: well while both stores answer`, async () => {
    const condition = conditionOf(role, { cache: well });
    assert.equal(await condition.health(), null);
    assert.deepEqual(await condition.degraded(), []);
  });

  for (const [store, says] of [
    ["redis", /^Redis does not answer\. .*through Kafka/],
    ["kafka", /^Kafka does not answer\. HIGH .*Redis.*MEDIUM/],
    ["cache", /^Cache does not answer\. .*stats wait/],
  ] as const) {
    test(`${role}: goes on without ${store}, and says how`, async () => {
      const name = `${store[0]?.toUpperCase()}${store.slice(1)}`;
      const condition = conditionOf(role, { [store]: away(name) });
      assert.equal(await condition.health(), null);
      const degraded = await condition.degraded();
      assert.equal(degraded.length, 1);
      assert.match(degraded[0] ?? "", says);
    });
  }

  test(`${role}: not without both`, async () => {
    const condition = conditionOf(role, { redis: away("Redis"), kafka: away("Kafka") });
    assert.equal(await condition.health(), "Redis does not answer. Kafka does not answer.");
  });

  test(`${role}: a store that hangs or fails is away, and its error is not repeated`, async () => {
    for (const check of [hangs, breaks]) {
      const condition = conditionOf(role, { kafka: check });
      const asking = Promise.all([condition.health(), condition.degraded()]);
      await clock.advance(2000);
      const [health, degraded] = await asking;
      assert.equal(health, null);
      assert.match(degraded.join(), /^Kafka (?:did not answer within 2000 ms|cannot be asked)/);
      assert.doesNotMatch(degraded.join(), /secret/);
    }
  });
}

test("a processor that does not read although Kafka answers is not ready; a gateway reads nothing", async () => {
  assert.equal(await conditionOf("processor", {}, "The reader is expelled.").health(), "The reader is expelled.");
  assert.equal(await conditionOf("gateway", {}, "The reader is expelled.").health(), null);
});

test("a processor that does not read because Kafka is away goes on with HIGH", async () => {
  assert.equal(await conditionOf("processor", { kafka: away("Kafka") }, "The reader is lost.").health(), null);
});

test("questions at the same time are one look at the stores", async () => {
  let looks = 0;
  const counted: Check = () => {
    looks++;
    return Promise.resolve(null);
  };
  const condition = conditionOf("gateway", { redis: counted });
  await Promise.all([condition.health(), condition.degraded(), condition.health()]);
  assert.equal(looks, 1);
});

/** LOW that waits at endpoints which answer, by tenant and flow: of whom no more should be taken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LowWaiting } from "@posthaste/processor/endpoint/low-waiting.ts";
import { TENANT_WAITING_MAX, createLowWaiting } from "@posthaste/processor/endpoint/low-waiting.ts";
import { flowOf } from "@posthaste/shared/domain/flow.ts";
import { deliveryOf, envelopeOf } from "../../support/samples.ts";

const noneIsWide = (): boolean => false;
const nobody = (): void => undefined;
const deliveryFor = (tenant: string, type: string) =>
  deliveryOf(envelopeOf("evt", "low", { tenant, type }), "ep1", { tenant });

function fill(waiting: LowWaiting, tenant: string, type: string, max = 1000): number {
  let count = 0;
  for (; count < max && !waiting.isEnough(tenant, flowOf(type)); count++) waiting.came(deliveryFor(tenant, type));
  return count;
}

test("a flow alone gets half of what its tenant may have waiting, a second one finds room beside it", () => {
  const waiting = createLowWaiting(noneIsWide, nobody);
  const first = fill(waiting, "acme", "slow");
  assert.ok(Math.abs(first - TENANT_WAITING_MAX / 2) <= 1, `${first}`);
  assert.ok(fill(waiting, "acme", "other") > TENANT_WAITING_MAX / 8);
});

test("a tenant that has all its room full holds up no other, and of itself no flow that has nothing waiting", () => {
  const waiting = createLowWaiting(noneIsWide, nobody);
  for (let type = 0; type < 1000; type++) waiting.came(deliveryFor("acme", `type.${type}`));
  assert.deepEqual([waiting.isEnough("acme", flowOf("type.0")), waiting.isEnough("acme", null)], [true, false]);
  assert.equal(waiting.isEnough("globex", null), false);
  assert.ok(fill(waiting, "globex", "slow") >= TENANT_WAITING_MAX / 2 - 1);
  assert.equal(fill(waiting, "acme", "type.new"), 1);
});

test("counted is LOW of flows that go to one endpoint", () => {
  const waiting = createLowWaiting((_tenant, flow) => flow === flowOf("shared"), nobody);
  const high = deliveryOf(envelopeOf("evt", "high", { type: "own" }), "ep1");
  const deliveries = [deliveryFor("acme", "own"), deliveryFor("acme", "shared"), high];
  assert.deepEqual(
    deliveries.map((delivery) => waiting.isCounted(delivery)),
    [true, false, false],
  );
});

test("who was refused is told when fewer wait, once for each refusal", () => {
  let told = 0;
  const waiting = createLowWaiting(noneIsWide, () => void (told += 1));
  const count = fill(waiting, "acme", "slow");
  for (let left = count; left > 0; left--) waiting.went(deliveryFor("acme", "slow"));
  assert.deepEqual([told, waiting.isEnough("acme", flowOf("slow"))], [1, false]);
});

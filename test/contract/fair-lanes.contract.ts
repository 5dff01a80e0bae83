/** The part of the port `lanes` that fairness rests on: who is not admitted keeps nobody else waiting. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { flowOf } from "@posthaste/shared/domain/flow.ts";
import type { OpenHarness } from "./harness.ts";
import { NEVER, idsOf, takeSome } from "./harness.ts";
import { TENANT, sampleEnvelope, sampleEnvelopes } from "../support/samples.ts";

export function fairLanesContract(name: string, open: OpenHarness): void {
  for (const lane of LANES) {
    const priority = lane === "high" ? "HIGH" : lane === "medium" ? "MEDIUM" : "LOW";

    test(`${name} lanes: ${lane}, a tenant that is not admitted keeps no other waiting, and its items stay`, async () => {
      await using harness = await open();
      const { lanes } = harness.drivers;
      await lanes.append(sampleEnvelopes(50, { priority }));
      await lanes.append([sampleEnvelope("small", { priority, tenant: "globex" })]);
      const others = await lanes.take(lane, 10, NEVER, (tenant) => tenant !== TENANT);
      assert.deepEqual(idsOf(others), ["small"]);
      assert.equal((await lanes.depth(lane)).count, 51);
      const ids: string[] = [];
      while (ids.length < 50) ids.push(...idsOf(await takeSome(harness, lane)));
      assert.deepEqual(
        ids.toSorted(),
        sampleEnvelopes(50)
          .map(({ id }) => id)
          .toSorted(),
      );
    });

    test(`${name} lanes: ${lane}, a type whose flow is not admitted keeps no other of the tenant waiting`, async () => {
      await using harness = await open();
      const { lanes } = harness.drivers;
      await lanes.append(sampleEnvelopes(20, { priority }));
      await lanes.append([sampleEnvelope("other", { priority, type: "order.sent" })]);
      const others = await lanes.take(
        lane,
        10,
        NEVER,
        (_tenant, flow) => flow === null || flow === flowOf("order.sent"),
      );
      assert.deepEqual(idsOf(others), ["other"]);
    });

    test(`${name} lanes: ${lane}, who waits for what was not admitted gets it once that is looked at again`, async () => {
      await using harness = await open();
      const { lanes } = harness.drivers;
      await lanes.append([sampleEnvelope("evt_a", { priority })]);
      let isOpen = false;
      const asked = Promise.withResolvers<void>();
      const taken = lanes.take(lane, 10, NEVER, () => {
        asked.resolve();
        return isOpen;
      });
      await asked.promise;
      isOpen = true;
      lanes.lookAgain(lane);
      assert.deepEqual(idsOf(await taken), ["evt_a"]);
    });
  }
}

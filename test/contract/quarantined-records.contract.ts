/** The promises of the port `quarantined-records` over any set: what is not there is asked for without harm. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleEnvelope } from "../support/samples.ts";
import type { OpenHarness } from "./harness.ts";

export function quarantinedRecordsContract(name: string, open: OpenHarness): void {
  test(`${name} quarantine: nothing is listed while everything can be read`, async () => {
    await using harness = await open();
    const { quarantinedRecords, lanes } = harness.drivers;
    await lanes.append([sampleEnvelope("evt_a", { priority: "HIGH" }), sampleEnvelope("evt_b")]);
    assert.deepEqual(await quarantinedRecords.list(100, null), { rows: [], next: null });
    assert.equal(await quarantinedRecords.count(), 0);
    for (const id of ["", "qtn_", "evt_a", `qtn_${"0".repeat(26)}`]) {
      assert.equal(await quarantinedRecords.find(id), null);
      await quarantinedRecords.remove(id);
    }
  });
}

/** `/v1/quarantine` for operator keys: list, show with the raw bytes, put back, delete. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { QuarantinedRecord, QuarantinedRecords } from "@posthaste/shared/ports/quarantined-records.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const WHOLE: QuarantinedRecord = {
  id: `qtn_${"0".repeat(25)}1`,
  source: "medium",
  partition: 3,
  offset: 7,
  reason: "header id is missing",
  atMs: START_MS,
  headers: { id: "evt.x" },
  bytes: 3,
  value: Uint8Array.of(0, 255, 10),
};
const CUT: QuarantinedRecord = { ...WHOLE, id: `qtn_${"0".repeat(25)}2`, bytes: 4 };
const EMPTY: QuarantinedRecord = { ...WHOLE, id: `qtn_${"0".repeat(25)}3`, bytes: 0, value: null };

async function openWith(...records: readonly QuarantinedRecord[]) {
  const faults: Error[] = [];
  const kept = new Map(records.map((record) => [record.id, record]));
  const done: string[] = [];
  const quarantinedRecords: QuarantinedRecords = {
    list: async (limit) => ({ rows: [...kept.values()].slice(0, limit), next: kept.size > limit ? "more" : null }),
    count: async () => kept.size,
    find: async (id) => kept.get(id) ?? null,
    async remove(id) {
      const fault = faults.pop();
      if (fault !== undefined) throw fault;
      done.push(`remove ${id}`);
      kept.delete(id);
    },
    async putBack(record) {
      if (record.bytes !== (record.value?.length ?? 0)) return false;
      done.push(`put back ${record.id}`);
      return true;
    },
  };
  const harness = await openGatewayHarness({ wrap: (drivers) => ({ ...drivers, quarantinedRecords }) });
  return { harness, done, faults, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
}

test("GET /v1/quarantine 200: what is listed, how many, and where it came from; no raw bytes", async () => {
  await using opened = await openWith(WHOLE, CUT, EMPTY);
  const { status, json } = await opened.harness.call("GET", "/v1/quarantine?limit=2");
  assert.equal(status, 200);
  assert.match(textAt(json, "next_cursor"), /^[\w-]+$/);
  const shown = { source: "medium", place: "3:7", reason: WHOLE.reason, at: new Date(START_MS).toISOString() };
  assert.deepEqual(json, {
    count: 3,
    data: [
      { id: WHOLE.id, ...shown, bytes: 3, is_cut: false },
      { id: CUT.id, ...shown, bytes: 4, is_cut: true },
    ],
    next_cursor: at(json, "next_cursor"),
  });
});

test("GET /v1/quarantine/:id 200: with headers and raw bytes; 404 for what is gone", async () => {
  await using opened = await openWith(WHOLE, EMPTY);
  const whole = await opened.harness.call("GET", `/v1/quarantine/${WHOLE.id}`);
  assert.deepEqual([at(whole.json, "headers"), at(whole.json, "value_base64")], [{ id: "evt.x" }, "AP8K"]);
  assert.equal(at((await opened.harness.call("GET", `/v1/quarantine/${EMPTY.id}`)).json, "value_base64"), null);
  assertProblem(await opened.harness.call("GET", `/v1/quarantine/${CUT.id}`), 404, "not-found");
  assertProblem(await opened.harness.call("GET", "/v1/quarantine/evt_a"), 404, "not-found");
});

test("POST /v1/quarantine/:id/put-back 202: put back first, then off the list; 409 when only a part is kept", async () => {
  await using opened = await openWith(WHOLE, CUT);
  const { status, json } = await opened.harness.call("POST", `/v1/quarantine/${WHOLE.id}/put-back`);
  assert.deepEqual([status, json], [202, { id: WHOLE.id, source: "medium" }]);
  assert.deepEqual(opened.done, [`put back ${WHOLE.id}`, `remove ${WHOLE.id}`]);
  assertProblem(await opened.harness.call("POST", `/v1/quarantine/${CUT.id}/put-back`), 409, "conflict");
  assertProblem(await opened.harness.call("POST", `/v1/quarantine/${WHOLE.id}/put-back`), 404, "not-found");
  assert.equal(opened.done.length, 2);
});

test("DELETE /v1/quarantine/:id 204, and 404 the second time", async () => {
  await using opened = await openWith(CUT);
  assert.equal((await opened.harness.call("DELETE", `/v1/quarantine/${CUT.id}`)).status, 204);
  assertProblem(await opened.harness.call("DELETE", `/v1/quarantine/${CUT.id}`), 404, "not-found");
  assert.deepEqual(opened.done, [`remove ${CUT.id}`]);
});

test("DELETE /v1/quarantine/:id ends the event that the record names, with the reason; what was fanned out stays", async () => {
  await using opened = await openWith(
    { ...WHOLE, headers: { id: "evt_lost", tenant: "default" } },
    { ...CUT, headers: { id: "evt_well", tenant: "default" } },
    { ...EMPTY, headers: { id: "evt_nowhere", tenant: "default" } },
  );
  const { harness } = opened;
  for (const id of ["evt_lost", "evt_well"]) {
    await harness.call("POST", "/v1/events", { body: { type: "a", data: 1, id } });
  }
  const nobody = { matched: [], matchedCount: 0, filtered: [], filteredCount: 0 };
  const fanOut = { tenant: "default", eventId: "evt_well", atMs: START_MS, ...nobody };
  harness.drivers.ledger.record([{ kind: "fan-out", fanOut }]);
  for (const { id } of [WHOLE, CUT, EMPTY]) {
    assert.equal((await harness.call("DELETE", `/v1/quarantine/${id}`)).status, 204);
  }
  const lost = await harness.call("GET", "/v1/events/evt_lost");
  assert.deepEqual(
    [at(lost.json, "state"), at(lost.json, "deliveries.0.state"), at(lost.json, "deliveries.0.reason")],
    ["dead", "dead", "its record could not be read, and was deleted from quarantine"],
  );
  assert.equal(at((await harness.call("GET", "/v1/events/evt_well")).json, "state"), "filtered");
});

test("DELETE /v1/quarantine/:id ends the event before the record is off the list: what did not come so far is done again", async () => {
  await using opened = await openWith({ ...WHOLE, headers: { id: "evt_lost", tenant: "default" } });
  const { harness, faults } = opened;
  await harness.call("POST", "/v1/events", { body: { type: "a", data: 1, id: "evt_lost" } });
  const remove = () => harness.call("DELETE", `/v1/quarantine/${WHOLE.id}`);
  faults.push(new PosthasteError("store-unavailable", "Redis is away."));
  assertProblem(await remove(), 503, "store-unavailable");
  assert.equal(at((await harness.call("GET", "/v1/events/evt_lost")).json, "state"), "dead");
  assert.equal((await remove()).status, 204);
  assert.equal(at((await harness.call("GET", "/v1/events/evt_lost")).json, "state"), "dead");
});

test("the embedded set puts nothing aside: an empty list", async () => {
  await using harness = await openGatewayHarness();
  const { status, json } = await harness.call("GET", "/v1/quarantine");
  assert.deepEqual([status, json], [200, { count: 0, data: [], next_cursor: null }]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { EventType, Instant, NewEvent, PublishedId, TenantName } from "@posthaste/shared/domain/event.ts";
import fc from "fast-check";
import * as v from "valibot";

const types: readonly (readonly [text: unknown, isTaken: boolean])[] = [
  ["order", true],
  ["order.paid", true],
  ["a-b_c.D9.0", true],
  ["x".repeat(128), true],
  ["x".repeat(129), false],
  ["", false],
  [".", false],
  [".paid", false],
  ["order.", false],
  ["order..paid", false],
  ["order.*", false],
  ["order paid", false],
  ['order"paid', false],
  ["order.päid", false],
  ["order\n", false],
  [7, false],
];

for (const [text, isTaken] of types) {
  const shown = typeof text === "string" && text.length > 20 ? `of ${text.length} characters` : JSON.stringify(text);
  test(`the event type ${shown} is ${isTaken ? "taken" : "refused"}`, () =>
    assert.equal(v.is(EventType, text), isTaken));
}

const names: readonly (readonly [text: string, isTaken: boolean])[] = [
  ["a", true],
  ["Order_9-x", true],
  ["x".repeat(64), true],
  ["x".repeat(65), false],
  ["", false],
  ["a.b", false],
  ["a/b", false],
  ["a b", false],
  ["a\n", false],
  ["é", false],
];

for (const [text, isTaken] of names) {
  test(`the event id and tenant ${JSON.stringify(text.slice(0, 20))} of ${text.length} characters is ${isTaken ? "taken" : "refused"}`, () => {
    assert.deepEqual([v.is(PublishedId, text), v.is(TenantName, text)], [isTaken, isTaken]);
  });
}

const instants: readonly (readonly [text: string, atMs: number | null])[] = [
  ["2026-01-31T12:00:00Z", Date.UTC(2026, 0, 31, 12)],
  ["2026-01-31t12:00:00z", Date.UTC(2026, 0, 31, 12)],
  ["2026-01-31T12:00:00.5Z", Date.UTC(2026, 0, 31, 12, 0, 0, 500)],
  ["2026-01-31T12:00:00.123456789Z", Date.UTC(2026, 0, 31, 12, 0, 0, 123)],
  ["2026-01-31T12:00:00.9999999999Z", Date.UTC(2026, 0, 31, 12, 0, 0, 999)],
  [`2026-01-31T12:00:00.1${"0".repeat(64)}Z`, null],
  ["2026-01-31T12:00:00+02:00", Date.UTC(2026, 0, 31, 10)],
  ["2026-01-31T12:00:00-00:30", Date.UTC(2026, 0, 31, 12, 30)],
  ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
  ["2026-02-29T00:00:00Z", null],
  ["2026-02-30T00:00:00Z", null],
  ["2026-04-31T00:00:00Z", null],
  ["2026-13-01T00:00:00Z", null],
  ["2026-00-01T00:00:00Z", null],
  ["2026-01-00T00:00:00Z", null],
  ["2026-01-31T24:00:00Z", null],
  ["2026-01-31T12:60:00Z", null],
  ["2026-01-31T12:00:00+24:00", null],
  ["2026-01-31T12:00:00", null],
  ["2026-01-31 12:00:00Z", null],
  ["2026-01-31", null],
  ["2026-01-31T12:00Z", null],
  ["2026-01-31T12:00:00.Z", null],
  ["+002026-01-31T12:00:00Z", null],
  ["1769860800000", null],
  ["", null],
];

for (const [text, atMs] of instants) {
  test(`the time ${JSON.stringify(text)} is ${atMs === null ? "refused" : new Date(atMs).toISOString()}`, () => {
    const parsed = v.safeParse(Instant, text);
    assert.equal(parsed.success ? parsed.output : null, atMs);
  });
}

test("every time that can be printed is read back as it was", () => {
  const anyDate = fc.date({
    min: new Date("0000-01-01T00:00:00Z"),
    max: new Date("9999-12-31T23:59:59.999Z"),
    noInvalidDate: true,
  });
  fc.assert(fc.property(anyDate, (date) => assert.equal(v.parse(Instant, date.toISOString()), date.getTime())));
});

test("an event of type and data alone is MEDIUM", () => {
  assert.deepEqual(v.parse(NewEvent, { type: "order.paid", data: { n: 1 } }), {
    type: "order.paid",
    data: { n: 1 },
    priority: "MEDIUM",
  });
});

test("data may be any JSON, null and false too", () => {
  for (const data of [null, false, 0, "", []]) assert.deepEqual(v.parse(NewEvent, { type: "a", data }).data, data);
});

const refused: readonly (readonly [what: string, event: unknown])[] = [
  ["without a type", { data: 1 }],
  ["without data", { type: "order.paid" }],
  ["of a priority in lower case", { type: "order.paid", data: 1, priority: "high" }],
  ["with a member that is not known", { type: "order.paid", data: 1, prioritty: "HIGH" }],
  ["with an id of null", { type: "order.paid", data: 1, id: null }],
  ["with a deliver_at in milliseconds", { type: "order.paid", data: 1, deliver_at: 1_769_860_800_000 }],
  ["that is a list", [{ type: "order.paid", data: 1 }]],
  ["that is nothing", null],
];

for (const [what, event] of refused) {
  test(`an event ${what} is refused`, () => assert.equal(v.safeParse(NewEvent, event).success, false));
}

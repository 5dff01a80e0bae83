import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import {
  envelopeBody,
  GROUP_FRAME_BYTES,
  groupBody,
  groupMemberBytes,
  laneOf,
} from "@posthaste/shared/domain/envelope.ts";
import fc from "fast-check";

const AT_MS = Date.UTC(2026, 0, 31, 12, 0, 0, 7);
const decoder = new TextDecoder("utf-8", { fatal: true });

function envelope(id: string, dataText: string, priority: Envelope["priority"] = "LOW"): Envelope {
  return {
    id,
    tenant: "acme",
    type: "order.paid",
    priority,
    acceptedAtMs: AT_MS,
    deliverAtMs: null,
    traceparent: null,
    tracestate: null,
    directoryVersion: 1,
    body: envelopeBody({ type: "order.paid", timestampMs: AT_MS, dataText }),
  };
}

/** Texts that a parse and a print would change. */
const oddTexts = [
  "1e400",
  "-0",
  "1.0",
  "1E+2",
  "12345678901234567890",
  "0.1000000000000000055511151231257827",
  "null",
  "true",
  '""',
  '"\\u0041\\/\\ud800"',
  '"\u2028 \u{1f600} ü"',
  "[]",
  "{}",
  '{"b":1,"a":2,"b":3}',
  '{"__proto__":{"x":1}}',
  '{ "spaced" :\t[ 1 ,\n2 ] }',
];

for (const text of oddTexts) {
  test(`the body holds the data text ${JSON.stringify(text)} byte for byte`, () => {
    const body = decoder.decode(envelope("evt_1", text).body);
    assert.equal(body, `{"type":"order.paid","timestamp":"2026-01-31T12:00:00.007Z","data":${text}}`);
  });

  test(`a group holds the data text ${JSON.stringify(text)} byte for byte, and is JSON`, () => {
    const body = decoder.decode(groupBody([envelope("evt_1", text), envelope("evt_2", "1")], AT_MS));
    assert.ok(body.includes(`"data":${text}},{"id":"evt_2",`), body);
    assert.doesNotThrow(() => JSON.parse(body));
  });
}

test("the body of any JSON is JSON, and holds it byte for byte", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const body = decoder.decode(envelope("evt_1", text).body);
      assert.equal(body, `{"type":"order.paid","timestamp":"2026-01-31T12:00:00.007Z","data":${text}}`);
      assert.doesNotThrow(() => JSON.parse(body));
    }),
  );
});

test("a group is JSON of its own type and time, each member its own body with its id put first", () => {
  const members = [envelope("evt_1", '{"n":1}'), envelope("evt_2", "2")];
  assert.equal(
    decoder.decode(groupBody(members, AT_MS + 1)),
    '{"type":"posthaste.batch","timestamp":"2026-01-31T12:00:00.008Z","data":[' +
      '{"id":"evt_1","type":"order.paid","timestamp":"2026-01-31T12:00:00.007Z","data":{"n":1}},' +
      '{"id":"evt_2","type":"order.paid","timestamp":"2026-01-31T12:00:00.007Z","data":2}]}',
  );
});

const anyMembers = fc
  .array(fc.json(), { minLength: 1, maxLength: 12 })
  .map((texts) => texts.map((text, index) => envelope(`evt_${index}`, text)));

test("the same members and time give the same bytes, another order other bytes", () => {
  fc.assert(
    fc.property(anyMembers, (members) => {
      assert.deepEqual(groupBody(members, AT_MS), groupBody([...members], AT_MS));
      if (members.length > 1) assert.notDeepEqual(groupBody(members, AT_MS), groupBody(members.toReversed(), AT_MS));
    }),
  );
});

test("a group is never larger than the bytes counted for its frame and its members", () => {
  fc.assert(
    fc.property(anyMembers, (members) => {
      const counted = members.reduce((sum, member) => sum + groupMemberBytes(member), GROUP_FRAME_BYTES);
      const bytes = groupBody(members, AT_MS).length;
      assert.ok(bytes <= counted && bytes >= counted - 1, `${bytes} of ${counted}`);
    }),
  );
});

const lanes = [
  ["HIGH", "high"],
  ["MEDIUM", "medium"],
  ["LOW", "low"],
] as const;
for (const [priority, lane] of lanes) {
  test(`an event of priority ${priority} takes the ${lane} lane`, () => {
    assert.equal(laneOf(envelope("evt_1", "1", priority)), lane);
  });
}

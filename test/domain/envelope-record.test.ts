/** Envelopes outside of memory: every field and every byte comes back, and what is not ours comes back as null. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import {
  envelopeHeaders,
  envelopeOfHeaders,
  packEnvelope,
  unpackEnvelope,
} from "@posthaste/shared/domain/envelope-record.ts";
import fc from "fast-check";

const WHOLE_MAX = 999_999_999_999_999;
const whole = fc.integer({ min: 0, max: WHOLE_MAX });
const word = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const envelopes: fc.Arbitrary<Envelope> = fc.record(
  {
    id: word,
    tenant: word,
    type: word,
    priority: fc.constantFrom("HIGH" as const, "MEDIUM" as const, "LOW" as const),
    acceptedAtMs: whole,
    deliverAtMs: fc.option(whole),
    traceparent: fc.option(fc.stringMatching(/^[!-~]{1,256}$/)),
    directoryVersion: whole,
    body: fc.uint8Array({ maxLength: 500 }),
  },
  { noNullPrototype: true },
);

const sample: Envelope = {
  id: "evt_a",
  tenant: "acme",
  type: "order.paid",
  priority: "HIGH",
  acceptedAtMs: 5,
  deliverAtMs: null,
  traceparent: null,
  directoryVersion: 0,
  body: new Uint8Array([10, 0, 255, 10]),
};

test("an envelope comes back from its packed bytes, the body untouched", () => {
  fc.assert(fc.property(envelopes, (envelope) => assert.deepEqual(unpackEnvelope(packEnvelope(envelope)), envelope)));
});

test("an envelope comes back from headers and body", () => {
  fc.assert(
    fc.property(envelopes, (envelope) =>
      assert.deepEqual(envelopeOfHeaders(envelopeHeaders(envelope), envelope.body), envelope),
    ),
  );
});

test("bytes that are not ours are null, never an exception", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.equal(unpackEnvelope(bytes), null)));
  const packed = packEnvelope(sample);
  const line = packed.indexOf(10);
  for (let cut = 0; cut <= line; cut++) assert.equal(unpackEnvelope(packed.subarray(0, cut)), null);
});

test("a header that is missing or malformed is null", () => {
  const headers = envelopeHeaders(sample);
  for (const name of Object.keys(headers)) {
    const { [name]: _gone, ...rest } = headers;
    assert.equal(envelopeOfHeaders(rest, sample.body), null, name);
  }
  for (const [name, value] of [
    ["priority", "URGENT"],
    ["accepted", "soon"],
    ["accepted", "-1"],
    ["directory", "1.5"],
    ["due", ""],
    ["id", "evt.1"],
    ["id", "x".repeat(65)],
    ["id", ""],
    ["tenant", "acme/other"],
    ["tenant", "two words"],
    ["type", "order..paid"],
    ["type", "x".repeat(129)],
    ["traceparent", "00-a\r\nx: y"],
    ["traceparent", "ü"],
    ["accepted", "1".repeat(16)],
  ] as const) {
    assert.equal(envelopeOfHeaders({ ...headers, [name]: value }, sample.body), null, `${name}: ${value}`);
  }
});

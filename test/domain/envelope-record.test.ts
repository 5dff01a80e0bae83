/** Envelopes outside of memory: every field and every byte comes back, and what is not ours comes back as null. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import {
  envelopeFault,
  envelopeHeaders,
  envelopeOfHeaders,
  packEnvelope,
  packedFault,
  unpackEnvelope,
} from "@posthaste/shared/domain/envelope-record.ts";
import fc from "fast-check";

const WHOLE_MAX = 999_999_999_999_999;
const DAY_MS = 24 * 3600 * 1000;
const whole = fc.integer({ min: 0, max: WHOLE_MAX });
const times = fc.integer({ min: 0, max: 2 ** 48 - 1 - 30 * DAY_MS });
const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length - 1}}[1-9a-f]$`));
const word = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const envelopes: fc.Arbitrary<Envelope> = times.chain((acceptedAtMs) =>
  fc.record(
    {
      id: word,
      tenant: word,
      type: word,
      priority: fc.constantFrom("HIGH" as const, "MEDIUM" as const, "LOW" as const),
      acceptedAtMs: fc.constant(acceptedAtMs),
      deliverAtMs: fc.option(fc.integer({ min: 0, max: acceptedAtMs + 30 * DAY_MS })),
      traceparent: fc.option(fc.tuple(hex(32), hex(16)).map(([trace, span]) => `00-${trace}-${span}-01`)),
      tracestate: fc.option(
        fc
          .stringMatching(/^[a-z0-9][a-z0-9_*@/-]{0,20}=[!-+\x2d-<>-~]{1,60}(,r=1){0,31}$/)
          .filter((text) => text.length <= 512),
      ),
      directoryVersion: whole,
      body: fc.uint8Array({ maxLength: 500 }),
    },
    { noNullPrototype: true },
  ),
);

const sample: Envelope = {
  id: "evt_a",
  tenant: "acme",
  type: "order.paid",
  priority: "HIGH",
  acceptedAtMs: 5,
  deliverAtMs: null,
  traceparent: null,
  tracestate: null,
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

test("a fact that the API would refuse is refused at the door of the record, and the reason names it alone", () => {
  const bad: readonly (readonly [string, string])[] = [
    ["id", "evt.a"],
    ["id", ""],
    ["id", "evt\r\nx: y"],
    ["id", "é"],
    ["id", "a".repeat(65)],
    ["tenant", "no such/tenant"],
    ["tenant", "a:b|c"],
    ["tenant", ""],
    ["type", "a..b"],
    ["type", 'a"b'],
    ["type", "a".repeat(129)],
    ["priority", "URGENT"],
    ["accepted", "-1"],
    ["accepted", "999999999999999"],
    ["accepted", "1e3"],
    ["due", "999999999999999"],
    ["due", String(sample.acceptedAtMs + 40 * DAY_MS)],
    ["traceparent", "00-a-b-01"],
    ["traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx: y"],
    ["tracestate", ""],
    ["tracestate", "congo"],
    ["tracestate", "a=1, b=2"],
    ["tracestate", `a=${"x".repeat(255)},b=${"x".repeat(255)}`],
    ["directory", "latest"],
  ];
  for (const [name, text] of bad) {
    const headers = { ...envelopeHeaders(sample), [name]: text };
    assert.equal(envelopeOfHeaders(headers, sample.body), null, `${name}: ${text}`);
    assert.match(envelopeFault(headers, sample.body), new RegExp(`^header ${name} must `));
    const line = new TextEncoder().encode(`${JSON.stringify(headers)}\n{}`);
    assert.equal(unpackEnvelope(line), null);
    assert.match(packedFault(line), new RegExp(`^fact ${name} must `));
  }
  const { tenant: _, ...without } = envelopeHeaders(sample);
  assert.equal(envelopeFault(without, sample.body), "header tenant is missing");
});

test("a body that no publisher could have sent is refused at the door, for it could not be put away later", () => {
  const large = new Uint8Array(257 * 1024 + 1);
  assert.equal(envelopeOfHeaders(envelopeHeaders(sample), large), null);
  assert.match(envelopeFault(envelopeHeaders(sample), large), /has 263169 bytes, at most 263168/);
  assert.ok(envelopeOfHeaders(envelopeHeaders(sample), large.subarray(1)));
});

/** Spans as protobuf, read by a reader that knows nothing of how they were written; the collector reads them in test/e2e. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { backlogOfSpans } from "@posthaste/shared/drivers/otel/backlog.ts";
import { SpansRequest } from "@posthaste/shared/drivers/otel/span-bytes.ts";
import { parseTraceparent } from "@posthaste/shared/domain/traceparent.ts";
import type { Span, SpanAttributes, SpanStem } from "@posthaste/shared/telemetry/spans.ts";
import { START_MS } from "../../support/samples.ts";
import { readTraces } from "../../support/otlp-sink.ts";

const STEM: SpanStem = { name: "POST", kind: "client", attributes: {} };
const SPAN: Span = {
  self: refOf("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"),
  parent: null,
  stem: STEM,
  startMs: START_MS + 0.25,
  endMs: START_MS + 12.5,
  attributes: {},
  error: null,
  links: [],
  events: [],
};

function refOf(traceId: string, spanId: string) {
  const ref = parseTraceparent(`00-${traceId}-${spanId}-01`);
  assert.ok(ref !== null);
  return ref;
}

function openBacklog(batchMax: number, resource: SpanAttributes = {}) {
  return backlogOfSpans(batchMax, (storage) => new SpansRequest(resource, "posthaste", storage));
}

function encoded(spans: readonly Span[], resource: SpanAttributes): Buffer {
  const backlog = openBacklog(spans.length, resource);
  for (const span of spans) backlog.push(span);
  return Buffer.from(backlog.take()?.batch ?? new Uint8Array());
}

function roundTrip(span: Span) {
  const [read] = readTraces(encoded([span], { "service.name": "x" }));
  assert.ok(read !== undefined);
  return read;
}

test("ids, parent, times, kind and error are read as they were written", () => {
  const parent = refOf("f".repeat(32), "f".repeat(16));
  const read = roundTrip({ ...SPAN, parent, error: "timeout: größer 💥" });
  assert.equal(read.service, "x");
  const ids = [read.traceId, read.spanId, read.parentId];
  assert.deepEqual(ids, ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "ffffffffffffffff"]);
  assert.deepEqual([read.name, read.kind, read.isError], ["POST", "CLIENT", true]);
  assert.ok(Math.abs(read.startMs - SPAN.startMs) < 0.001 && Math.abs(read.endMs - SPAN.endMs) < 0.001);
  const plain = roundTrip(SPAN);
  assert.deepEqual([plain.parentId, plain.isError], ["", false]);
});

test("spans wait in batches, the oldest first", () => {
  const backlog = openBacklog(2);
  for (const name of ["a", "b", "c", "d", "e"]) backlog.push({ ...SPAN, stem: { ...STEM, name } });
  assert.equal(backlog.count, 5);
  const taken = Array.from({ length: 4 }, () => {
    const next = backlog.take();
    if (next === null) return [];
    const names = readTraces(Buffer.from(next.batch)).map(({ name }) => name);
    return [next.count, ...names, backlog.count];
  });
  assert.deepEqual(taken, [[2, "a", "b", 3], [2, "c", "d", 1], [1, "e", 0], []]);
});

test("the memory of a batch is written anew once it was exported, and not before", () => {
  const backlog = openBacklog(2);
  const put = (...names: string[]) => {
    for (const name of names) backlog.push({ ...SPAN, stem: { ...STEM, name } });
    return backlog.take();
  };
  const namesOf = (taken: { batch: Uint8Array } | null) =>
    readTraces(Buffer.from(taken?.batch ?? new Uint8Array())).map(({ name }) => name);
  const [first, second] = [put("a", "b"), put("c", "d")];
  assert.deepEqual(
    [namesOf(first), namesOf(second)],
    [
      ["a", "b"],
      ["c", "d"],
    ],
  );
  first?.release();
  const [third, fourth] = [put("e", "f"), put("g", "h")];
  assert.deepEqual(
    [namesOf(second), namesOf(third), namesOf(fourth)],
    [
      ["c", "d"],
      ["e", "f"],
      ["g", "h"],
    ],
  );
  assert.equal(third?.batch.buffer, first?.batch.buffer);
});

test("attributes of every kind and length are read as they were written", () => {
  const attributes: Record<string, string | number | boolean> = {
    short: "a",
    empty: "",
    long: "y".repeat(3000),
    mixed: `${"z".repeat(79)}ß`,
    yes: true,
    no: false,
    zero: 0,
    whole: 2 ** 52 + 1,
  };
  for (const edge of [127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21]) attributes[`to ${edge}`] = edge;
  assert.deepEqual(roundTrip({ ...SPAN, attributes }).attributes, attributes);
  assert.deepEqual(roundTrip({ ...SPAN, stem: { ...STEM, attributes } }).attributes, attributes);
});

test("many spans, links and events outgrow the first buffer", () => {
  const links = Array.from({ length: 128 }, () => SPAN.self);
  const events = Array.from({ length: 10 }, (_, index) => ({ name: `e${index}`, sinceStartMs: index }));
  const spans = Array.from({ length: 300 }, () => ({ ...SPAN, links, events, attributes: { text: "ä".repeat(200) } }));
  const read = readTraces(encoded(spans, {}));
  assert.equal(read.length, 300);
  assert.equal(read[299]?.links.length, 128);
  assert.deepEqual(
    read[299]?.events,
    events.map(({ name }) => name),
  );
});

/** Where the spans of an event stand, and that each process comes to the same ids. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNoopMeter } from "@opentelemetry/api";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { parseTraceparent } from "@posthaste/shared/domain/traceparent.ts";
import type { SpanSink } from "@posthaste/shared/telemetry/spans.ts";
import type { TracedDelivery } from "@posthaste/shared/telemetry/span-places.ts";
import { ATTEMPTS_IN_TRACE_MAX, EVENTS_IN_TRACE_MAX, LINKS_MAX } from "@posthaste/shared/telemetry/span-places.ts";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import { createTraceTelemetry } from "@posthaste/shared/telemetry/trace.ts";
import { seededEntropy } from "../support/ambient.ts";
import { SAMPLE_TRACE, SAMPLE_TRACEPARENT, START_MS, sampleEndpoint, sampleEnvelope } from "../support/samples.ts";
import type { SeenSpan } from "../support/seen-span.ts";
import { seenRef, seenSpan } from "../support/seen-span.ts";

const PUBLISHER = { traceId: SAMPLE_TRACEPARENT.slice(3, 35), spanId: SAMPLE_TRACEPARENT.slice(36, 52) };
const NONE = { traceparent: null, tracestate: null };
const WELL: AttemptResult = {
  kind: "answered",
  status: 200,
  retryAfter: null,
  bodyExcerpt: "",
  isBodyCut: false,
  durationMs: 5,
};
const ENDPOINT = sampleEndpoint("ep_1", { tenant: "acme", url: "https://example.com/x?secret=1" });
const near = (): boolean => false;
const apart = (): boolean => true;

function refOf(traceparent: string | null) {
  const context = parseTraceparent(traceparent);
  return context === null ? null : seenRef(context);
}

/** One process: its spans, and the helpers. Another one has other chance. */
function openProcess(seed: number, { isSampled = () => true }: Partial<SpanSink> = {}) {
  const spans: SeenSpan[] = [];
  const sink: SpanSink = {
    isSampled,
    record: (span) => void spans.push(seenSpan(span)),
    lost: () => ({ "queue-full": 0, "not-exported": 0 }),
  };
  const ambient = { clock: { now: () => START_MS }, entropy: seededEntropy(seed) };
  return { spans, trace: createTraceTelemetry({ meter: createNoopMeter(), ...ambient, spans: sink }) };
}

/** An event that a gateway took in the publisher's trace. */
function accepted(traceparent: string | null = SAMPLE_TRACEPARENT, id = "evt_1") {
  const gateway = openProcess(1);
  const request = gateway.trace.request({ traceparent, tracestate: SAMPLE_TRACE.tracestate });
  const carried = gateway.trace.carried(request, { tenant: "acme", id, index: 0 });
  const envelope = sampleEnvelope(id, { tenant: "acme", ...carried });
  gateway.trace.sent(request, envelope, { index: 0, startMs: START_MS, failure: undefined });
  return { ...gateway, request, envelope };
}

function deliveryOf(envelope: Envelope, change: Partial<TracedDelivery> = {}): TracedDelivery {
  const { tenant } = envelope;
  return { tenant, endpointId: "ep_1", generation: 0, attempt: 1, members: [envelope], group: null, ...change };
}

function attempted(delivery: TracedDelivery, isApart: () => boolean, seed = 2): SeenSpan {
  const { spans, trace } = openProcess(seed);
  const attempt = trace.ofAttempt(delivery, isApart);
  const header = refOf(attempt.traceparent);
  trace.attempted(delivery, attempt, { endpoint: ENDPOINT, result: WELL, milestones: [] });
  const [span] = spans;
  assert.ok(span !== undefined);
  assert.deepEqual(
    { traceId: header?.traceId, spanId: header?.spanId },
    { traceId: span.traceId, spanId: span.spanId },
  );
  return span;
}

test("what another process knows of the event is enough to name its parent and to come to the same ids", () => {
  const { envelope, spans } = accepted();
  const [send] = spans;
  const one = attempted(deliveryOf(envelope), near, 2);
  const other = attempted(deliveryOf(envelope), near, 3);
  assert.equal(one.spanId, other.spanId);
  const processor = openProcess(4);
  processor.trace.fannedOut({ envelope, startMs: START_MS, matchedCount: 1, filteredCount: 0, isRepeat: false });
  assert.equal(processor.spans[0]?.parentId, send?.spanId);
  assert.equal(one.parentId, processor.spans[0]?.spanId);
  for (const { traceId } of [one, ...processor.spans, ...spans]) assert.equal(traceId, PUBLISHER.traceId);
});

test("the milestones of an attempt are the events of its span, counted from its start", () => {
  const { spans, trace } = openProcess(2);
  const delivery = deliveryOf(accepted().envelope);
  const milestones = [
    { name: "connect", sinceStartMs: 1.5 },
    { name: "first-byte", sinceStartMs: 4 },
  ] as const;
  trace.attempted(delivery, trace.ofAttempt(delivery, near), { endpoint: ENDPOINT, result: WELL, milestones });
  const startMs = spans[0]?.startMs ?? Number.NaN;
  assert.deepEqual(spans[0]?.events, [
    { name: "connect", atMs: startMs + 1.5 },
    { name: "first-byte", atMs: startMs + 4 },
  ]);
});

test("no span holds the URL of an endpoint", () => {
  const span = attempted(deliveryOf(accepted().envelope), near);
  assert.equal(JSON.stringify(span).includes("secret"), false);
  assert.equal(span.attributes["server.address"], "example.com");
  assert.equal(span.attributes["server.port"], 443);
});

test("attempts of other endpoints, generations, events and numbers are other spans", () => {
  const { envelope } = accepted();
  const other = accepted(SAMPLE_TRACEPARENT, "evt_2").envelope;
  const deliveries = [
    deliveryOf(envelope),
    deliveryOf(envelope, { attempt: 2 }),
    deliveryOf(envelope, { endpointId: "ep_2" }),
    deliveryOf(envelope, { generation: 7 }),
    deliveryOf(other),
  ];
  assert.equal(new Set(deliveries.map((delivery) => attempted(delivery, near).spanId)).size, deliveries.length);
});

test("events alike but for id, tenant or trace have fan-outs of their own, each the parent of its attempts", () => {
  const { envelope } = accepted();
  const elsewhere = `00-${"1".repeat(32)}-${(envelope.traceparent ?? "").slice(36)}`;
  const others = [{ tenant: "bolt" }, { tenant: "bolt", id: "evt_2" }, { traceparent: elsewhere }];
  const events = [envelope, ...others.map((other) => ({ ...envelope, ...other }))];
  const { spans, trace } = openProcess(2);
  for (const each of events) {
    trace.fannedOut({ envelope: each, startMs: START_MS, matchedCount: 1, filteredCount: 0, isRepeat: false });
  }
  assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, events.length);
  const parents = events.map((each) => attempted(deliveryOf(each), near).parentId);
  assert.deepEqual(
    parents,
    spans.map(({ spanId }) => spanId),
  );
});

test(`attempts beyond ${ATTEMPTS_IN_TRACE_MAX} have traces of their own, linked to the one before and to the event`, () => {
  const { envelope } = accepted();
  const last = attempted(deliveryOf(envelope, { attempt: ATTEMPTS_IN_TRACE_MAX }), near);
  const [next, further] = [1, 2].map((more) =>
    attempted(deliveryOf(envelope, { attempt: ATTEMPTS_IN_TRACE_MAX + more }), near),
  );
  assert.ok(next !== undefined && further !== undefined);
  assert.equal(last.traceId, PUBLISHER.traceId);
  assert.equal(new Set([last.traceId, next.traceId, further.traceId]).size, 3);
  assert.equal(next.parentId, null);
  assert.deepEqual(next.links[0], { traceId: last.traceId, spanId: last.spanId });
  assert.equal(next.links[1]?.spanId, last.parentId);
  assert.deepEqual(further.links[0], { traceId: next.traceId, spanId: next.spanId });
});

test("the attempts at an endpoint beyond the first of its event share one trace, linked to the fan-out", () => {
  const { envelope } = accepted();
  const inside = attempted(deliveryOf(envelope), near);
  const first = attempted(deliveryOf(envelope, { endpointId: "ep_21" }), apart);
  const second = attempted(deliveryOf(envelope, { endpointId: "ep_21", attempt: 2 }), apart);
  assert.notEqual(first.traceId, PUBLISHER.traceId);
  assert.equal(first.parentId, null);
  assert.equal(first.links[0]?.spanId, inside.parentId);
  assert.equal(second.traceId, first.traceId);
  assert.equal(second.parentId, first.spanId);
});

test(`events of a batch beyond ${EVENTS_IN_TRACE_MAX} have traces of their own, linked to the request`, () => {
  const { trace, spans } = openProcess(1);
  const request = trace.request(SAMPLE_TRACE);
  const traces = Array.from({ length: EVENTS_IN_TRACE_MAX + 2 }, (_, index) => {
    const id = `evt_${index}`;
    const carried = trace.carried(request, { tenant: "acme", id, index });
    assert.equal(carried.tracestate, index < EVENTS_IN_TRACE_MAX ? SAMPLE_TRACE.tracestate : null);
    const envelope = sampleEnvelope(id, { tenant: "acme", ...carried });
    trace.sent(request, envelope, { index, startMs: START_MS, failure: undefined });
    return carried.traceparent?.slice(3, 35);
  });
  assert.equal(new Set(traces).size, 3);
  const outside = spans.at(-1);
  assert.equal(outside?.parentId, null);
  assert.deepEqual(
    outside?.links.map(({ spanId }) => spanId),
    [request.span === null ? null : seenRef(request.span).spanId],
  );
});

test("a group has a trace of its own, linked to its members, and is recorded when one of them is", () => {
  const unsampled = sampleEnvelope("evt_0", { traceparent: SAMPLE_TRACEPARENT.replace(/01$/, "00") });
  const others = Array.from({ length: LINKS_MAX + 5 }, (_, index) =>
    sampleEnvelope(`evt_g${index}`, { traceparent: SAMPLE_TRACEPARENT }),
  );
  const group = { id: "grp_1", closedAtMs: START_MS };
  const span = attempted(deliveryOf(unsampled, { members: [unsampled, ...others], group }), near);
  assert.notEqual(span.traceId, PUBLISHER.traceId);
  assert.equal(span.links.length, LINKS_MAX);
});

test("a trace that is not sampled leaves no span, and is passed on as not sampled", () => {
  const { spans, trace } = openProcess(1, { isSampled: () => false });
  const request = trace.request(NONE);
  const carried = trace.carried(request, { tenant: "acme", id: "evt_1", index: 0 });
  const envelope = sampleEnvelope("evt_1", carried);
  trace.sent(request, envelope, { index: 0, startMs: START_MS, failure: undefined });
  trace.fannedOut({ envelope, startMs: START_MS, matchedCount: 1, filteredCount: 0, isRepeat: false });
  const attempt = trace.ofAttempt(deliveryOf(envelope), near);
  trace.attempted(deliveryOf(envelope), attempt, { endpoint: ENDPOINT, result: WELL, milestones: [] });
  assert.deepEqual(spans, []);
  assert.equal(refOf(attempt.traceparent)?.traceId, request.traceId);
  assert.equal((parseTraceparent(attempt.traceparent)?.flags ?? 1) & 1, 0);
});

test("what is malformed and ends like one that is sampled leaves no span, and makes nothing of others recorded", () => {
  const zeros = `00-${"0".repeat(32)}-${"1".repeat(16)}-01`;
  for (const traceparent of [
    zeros,
    SAMPLE_TRACEPARENT.replace(/^00/, "ff"),
    SAMPLE_TRACEPARENT.toUpperCase(),
    "x".repeat(54) + "1",
  ]) {
    const { spans, trace } = openProcess(1);
    const envelope = sampleEnvelope("evt_1", { traceparent });
    const delivery = deliveryOf(envelope);
    trace.fannedOut({ envelope, startMs: START_MS, matchedCount: 1, filteredCount: 0, isRepeat: false });
    const attempt = trace.ofAttempt(delivery, near);
    trace.attempted(delivery, attempt, { endpoint: ENDPOINT, result: WELL, milestones: [] });
    trace.handedOver(delivery, near, { state: "retrying", reason: null, isAttempted: true, nextAttemptAtMs: START_MS });
    trace.replayed(trace.request(NONE), delivery);
    assert.deepEqual([attempt.traceparent, attempt.place, spans], [null, null, []], traceparent);

    const unsampled = sampleEnvelope("evt_0", { traceparent: SAMPLE_TRACEPARENT.replace(/01$/, "00") });
    const group = { id: "grp_1", closedAtMs: START_MS };
    const ofGroup = trace.ofAttempt(deliveryOf(unsampled, { members: [unsampled, envelope], group }), near);
    assert.equal(ofGroup.place, null);
    assert.equal(refOf(ofGroup.traceparent)?.traceId, PUBLISHER.traceId);
  }
});

test("without a sink a publisher's trace goes on with spans of our own ids, and nobody else's begins", () => {
  const ambient = { clock: { now: () => START_MS }, entropy: seededEntropy(1) };
  const trace = createTraceTelemetry({ meter: createNoopMeter(), ...ambient, spans: null });
  const event = { tenant: "acme", id: "evt_1", index: 0 };
  assert.deepEqual(trace.carried(trace.request(NONE), event), NONE);
  assert.deepEqual(trace.carried(trace.request({ ...SAMPLE_TRACE, traceparent: "00-not-one-00" }), event), NONE);
  assert.deepEqual(trace.carried(trace.request(SAMPLE_TRACE), event), SAMPLE_TRACE);
  const envelope = sampleEnvelope("evt_1", SAMPLE_TRACE);
  const made = [1, 20].map((attempt) => trace.ofAttempt(deliveryOf(envelope, { attempt }), near));
  for (const { tracestate } of made) assert.equal(tracestate, SAMPLE_TRACE.tracestate);
  const sent = made.map(({ traceparent }) => refOf(traceparent));
  for (const context of sent) assert.equal(context?.traceId, PUBLISHER.traceId);
  assert.equal(new Set([PUBLISHER.spanId, ...sent.map((context) => context?.spanId)]).size, 3);
  assert.equal(trace.ofAttempt(deliveryOf(sampleEnvelope("evt_2")), near).traceparent, null);
});

test("tracestate goes with its own trace alone: what began another leaves it, and what a store got by hand is left out", () => {
  const { trace } = openProcess(1);
  const { envelope } = accepted();
  const stateOf = (delivery: TracedDelivery, isApart = near) => trace.ofAttempt(delivery, isApart).tracestate;
  assert.equal(stateOf(deliveryOf(envelope)), SAMPLE_TRACE.tracestate);
  assert.equal(stateOf(deliveryOf(envelope, { attempt: ATTEMPTS_IN_TRACE_MAX })), SAMPLE_TRACE.tracestate);
  assert.equal(stateOf(deliveryOf(envelope, { attempt: ATTEMPTS_IN_TRACE_MAX + 1 })), null);
  assert.equal(stateOf(deliveryOf(envelope), apart), null);
  assert.equal(stateOf(deliveryOf(envelope, { generation: 7 })), null);
  const group = { id: "grp_1", closedAtMs: START_MS };
  assert.equal(stateOf(deliveryOf(envelope, { members: [envelope, envelope], group })), null);
  assert.equal(stateOf(deliveryOf({ ...envelope, tracestate: "a=1\r\nx: y" })), null);
  assert.equal(stateOf(deliveryOf({ ...envelope, traceparent: null })), null);
  assert.equal(accepted(null).envelope.tracestate, null);
});

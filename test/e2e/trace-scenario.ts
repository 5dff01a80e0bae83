/** A publish that fails twice and then succeeds, and the one connected trace that it leaves, held against the documented table. */
import assert from "node:assert/strict";

import { openReceiver } from "../support/receiver.ts";
import type { DocumentedSpan } from "../support/documented-spans.ts";
import { documentedAttemptEvents, documentedSpans } from "../support/documented-spans.ts";
import type { OtlpSink, SunkSpan } from "../support/otlp-sink.ts";

export const PARENT = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" } as const;
/** Of the publisher. */
export const TRACEPARENT = `00-${PARENT.traceId}-${PARENT.spanId}-01`;

/** How often a span is in the trace of a delivery whose third attempt succeeds. */
const COUNTS: readonly (readonly [span: string, count: number])[] = [
  ["POST /v1/events", 1],
  ["send <lane>", 1],
  ["process <lane>", 1],
  ["POST", 3],
  ["send retry", 2],
];
const SPANS = COUNTS.reduce((sum, [, count]) => sum + count, 0);

const TRACESTATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

/** Answers 500 twice, then 200, and keeps what came of the trace. */
export async function openFailingTwice() {
  const traceparents: string[] = [];
  const tracestates: string[] = [];
  const receiver = await openReceiver((request, response) => {
    traceparents.push(String(request.headers["traceparent"]));
    tracestates.push(String(request.headers["tracestate"]));
    response.writeHead(traceparents.length < 3 ? 500 : 200).end();
  });
  return { ...receiver, traceparents, tracestates };
}

/** Resolves with the spans of the trace once they are all there. */
export async function spansOfTrace(sink: Pick<OtlpSink, "until">, traceId: string): Promise<readonly SunkSpan[]> {
  const ofTrace = (spans: readonly SunkSpan[]) => spans.filter((span) => span.traceId === traceId);
  return ofTrace(await sink.until((spans) => ofTrace(spans).length >= SPANS));
}

/** `services` names the program that each process of the table is. */
export function assertTrace(
  spans: readonly SunkSpan[],
  expected: {
    readonly lane: string;
    readonly services: Readonly<Record<string, string>>;
    readonly traceparents: readonly string[];
    readonly tracestates: readonly string[];
  },
): void {
  const table = documentedSpans(expected.lane);
  const byName = Map.groupBy(spans, ({ name }) => name);
  for (const [name, count] of COUNTS) {
    const documented = table.get(name.replace("<lane>", expected.lane));
    assert.ok(documented !== undefined, `${name} is in the table`);
    assert.equal(byName.get(documented.name)?.length, count, documented.name);
    for (const span of byName.get(documented.name) ?? []) assertSpan(span, documented, expected.services);
  }
  assert.equal(spans.length, SPANS, "nothing else is in the trace");

  const one = (name: string): SunkSpan => byName.get(name)?.[0] ?? assert.fail(name);
  const attempts = (byName.get("POST") ?? []).toSorted((a, b) => attemptOf(a) - attemptOf(b));
  assert.equal(one("POST /v1/events").parentId, PARENT.spanId);
  assert.equal(one(`send ${expected.lane}`).parentId, one("POST /v1/events").spanId);
  assert.equal(one(`process ${expected.lane}`).parentId, one(`send ${expected.lane}`).spanId);
  attempts.forEach((attempt, index) => {
    assert.equal(attempt.parentId, one(`process ${expected.lane}`).spanId);
    assert.deepEqual(
      attempt.links.map(({ spanId }) => spanId),
      index === 0 ? [] : [attempts[index - 1]?.spanId],
    );
    assert.equal(attempt.attributes["http.response.status_code"], index < 2 ? 500 : 200);
    assert.equal(attempt.isError, index < 2);
    assert.equal(expected.traceparents[index], `00-${attempt.traceId}-${attempt.spanId}-01`);
    assert.equal(expected.tracestates[index], TRACESTATE);
  });
  const documentedEvents = documentedAttemptEvents();
  for (const { events } of attempts) {
    assert.equal(events.at(-1), "first-byte");
    for (const event of events) assert.ok(documentedEvents.includes(event), `${event} is in the table`);
  }
  assert.ok(attempts[0]?.events.includes("connect"), "the first attempt opened its connection");
  const failed = attempts.slice(0, 2).map(({ spanId }) => spanId);
  assert.deepEqual((byName.get("send retry") ?? []).map(({ parentId }) => parentId).toSorted(), failed.toSorted());
  for (const span of spans) assert.ok(span.endMs >= span.startMs, `${span.name} ends after it begins`);
}

function assertSpan(
  span: SunkSpan,
  { name, kind, process, attributes }: DocumentedSpan,
  services: Readonly<Record<string, string>>,
): void {
  assert.equal(span.kind, kind, name);
  assert.equal(span.service, services[process], name);
  for (const attribute of attributes) assert.ok(attribute in span.attributes, `${name} has ${attribute}`);
}

function attemptOf({ attributes }: SunkSpan): number {
  return Number(attributes["posthaste.attempt"]);
}

/** Publishes one event of that priority for one endpoint; resolves with its id. */
export async function publishTraced(
  url: string,
  key: string,
  { receiver, priority, tenant }: { readonly receiver: string; readonly priority: string; readonly tenant: string },
): Promise<string> {
  const post = async (path: string, body: unknown, headers = {}): Promise<Readonly<Record<string, unknown>>> => {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    assert.ok(response.ok, `${path} answers ${response.status}`);
    return (await response.json()) as Readonly<Record<string, unknown>>;
  };
  await post("/v1/endpoints", { url: receiver, tenant, retry: { delays_s: [0, 0.05, 0.05] } });
  const event = { type: "invoice.paid", data: {}, priority, tenant };
  return String((await post("/v1/events", event, { traceparent: TRACEPARENT, tracestate: TRACESTATE }))["id"]);
}

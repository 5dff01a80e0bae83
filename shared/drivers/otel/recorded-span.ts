/** A span of ours as the OpenTelemetry SDK reads one. It is converted when it is exported, not when it is recorded. */
import type { Attributes, HrTime, Link, SpanContext, SpanStatus } from "@opentelemetry/api";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan, TimedEvent } from "@opentelemetry/sdk-trace";

import { SAMPLED } from "../../domain/traceparent.ts";
import type { SpanRef } from "../../domain/traceparent.ts";
import type { Span } from "../../telemetry/spans.ts";

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const satisfies Record<Span["kind"], SpanKind>;
const SCOPE = { name: "posthaste" };
const OK: SpanStatus = { code: SpanStatusCode.UNSET };
const ZERO: HrTime = [0, 0];

export class RecordedSpan implements ReadableSpan {
  readonly resource: Resource;
  readonly instrumentationScope = SCOPE;
  readonly ended = true;
  readonly droppedAttributesCount = 0;
  readonly droppedEventsCount = 0;
  readonly droppedLinksCount = 0;
  readonly #span: Span;

  constructor(span: Span, resource: Resource) {
    this.#span = span;
    this.resource = resource;
  }

  get name(): string {
    return this.#span.name;
  }
  get kind(): SpanKind {
    return KINDS[this.#span.kind];
  }
  get parentSpanContext(): SpanContext {
    // The SDK reads no parent from an empty id.
    return contextOf({ traceId: this.#span.traceId, spanId: this.#span.parentId ?? "" });
  }
  get startTime(): HrTime {
    return hrTimeOf(this.#span.startMs);
  }
  get endTime(): HrTime {
    return hrTimeOf(Math.max(this.#span.startMs, this.#span.endMs));
  }
  get duration(): HrTime {
    return this.#span.endMs > this.#span.startMs ? hrTimeOf(this.#span.endMs - this.#span.startMs) : ZERO;
  }
  get status(): SpanStatus {
    return this.#span.error === null ? OK : { code: SpanStatusCode.ERROR, message: this.#span.error };
  }
  get attributes(): Attributes {
    return this.#span.attributes;
  }
  get links(): Link[] {
    return this.#span.links.map((link) => ({ context: contextOf(link) }));
  }
  get events(): TimedEvent[] {
    return this.#span.events.map(({ name, atMs }) => ({ name, time: hrTimeOf(atMs) }));
  }
  spanContext(): SpanContext {
    return contextOf(this.#span);
  }
}

function contextOf({ traceId, spanId }: SpanRef): SpanContext {
  return { traceId, spanId, traceFlags: SAMPLED };
}

function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

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
export const SCOPE = { name: "posthaste" };
const OK: SpanStatus = { code: SpanStatusCode.UNSET };
const ZERO: HrTime = [0, 0];

export class RecordedSpan implements ReadableSpan {
  readonly resource: Resource;
  readonly instrumentationScope = SCOPE;
  readonly ended = true;
  readonly droppedAttributesCount = 0;
  readonly droppedEventsCount = 0;
  readonly droppedLinksCount = 0;
  readonly recorded: Span;

  constructor(span: Span, resource: Resource) {
    this.recorded = span;
    this.resource = resource;
  }

  get name(): string {
    return this.recorded.name;
  }
  get kind(): SpanKind {
    return KINDS[this.recorded.kind];
  }
  get parentSpanContext(): SpanContext {
    // The SDK reads no parent from an empty id.
    return contextOf({ traceId: this.recorded.traceId, spanId: this.recorded.parentId ?? "" });
  }
  get startTime(): HrTime {
    return hrTimeOf(this.recorded.startMs);
  }
  get endTime(): HrTime {
    return hrTimeOf(Math.max(this.recorded.startMs, this.recorded.endMs));
  }
  get duration(): HrTime {
    return this.recorded.endMs > this.recorded.startMs ? hrTimeOf(this.recorded.endMs - this.recorded.startMs) : ZERO;
  }
  get status(): SpanStatus {
    return this.recorded.error === null ? OK : { code: SpanStatusCode.ERROR, message: this.recorded.error };
  }
  get attributes(): Attributes {
    return this.recorded.attributes;
  }
  get links(): Link[] {
    return this.recorded.links.map((link) => ({ context: contextOf(link) }));
  }
  get events(): TimedEvent[] {
    return this.recorded.events.map(({ name, atMs }) => ({ name, time: hrTimeOf(atMs) }));
  }
  spanContext(): SpanContext {
    return contextOf(this.recorded);
  }
}

function contextOf({ traceId, spanId }: SpanRef): SpanContext {
  return { traceId, spanId, traceFlags: SAMPLED };
}

function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

/** Spans as data, made by hand: patched modules tell nothing on Bun's ESM. A driver takes them to a collector, or nobody does. */
import type { SpanRef, TraceId } from "../domain/traceparent.ts";
import type { Losses } from "./losses.ts";

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** What many spans have in common. One object for all of them, as a sink may keep what it made of it. */
export interface SpanStem {
  /** Few-valued: no ids. */
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer";
  readonly attributes: SpanAttributes;
}

/** What happened within a span, and how long after its start, fractional. */
export interface SpanEvent {
  readonly name: string;
  readonly sinceStartMs: number;
}

export interface Span {
  readonly self: SpanRef;
  /** Null: the first of its trace. It need not be known here: its id may have come from another process. */
  readonly parent: SpanRef | null;
  readonly stem: SpanStem;
  /** Epoch ms, fractional. */
  readonly startMs: number;
  readonly endMs: number;
  /** Beside those of the stem, and none of their names. */
  readonly attributes: SpanAttributes;
  /** What went wrong, in words; null when nothing did. */
  readonly error: string | null;
  readonly links: readonly SpanRef[];
  readonly events: readonly SpanEvent[];
}

/** Where spans go. Neither call waits or throws. */
export interface SpanSink {
  /** Is the trace to be recorded? `parentFlags` are those of the caller's traceparent; null when the trace begins here. */
  isSampled(trace: TraceId, parentFlags: number | null): boolean;
  record(span: Span): void;
  /** Spans lost since the start. */
  lost(): Losses;
}

/**
 * A record for a partition log as one entry of the spool: one line of JSON with all but its value, then the value as it is.
 */
import * as v from "valibot";
import type { NewRecord } from "../../../ports/partition-log.ts";

const Facts = v.object({
  topic: v.pipe(v.string(), v.minLength(1)),
  partition: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0))),
  key: v.nullable(v.string()),
  headers: v.record(v.string(), v.string()),
  at: v.number(),
  /** True: there are no bytes behind the line because there is no value. */
  empty: v.boolean(),
});

const NEWLINE = 0x0a;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function packRecord({ topic, partition, key, value, headers, timestampMs }: NewRecord): Uint8Array<ArrayBuffer> {
  const facts = { topic, partition, key, headers, at: timestampMs, empty: value === null };
  const line = encoder.encode(`${JSON.stringify(facts)}\n`);
  const packed = new Uint8Array(line.length + (value?.length ?? 0));
  packed.set(line);
  if (value !== null) packed.set(value, line.length);
  return packed;
}

/** Null when the bytes are not those of `packRecord`. The value is a view on the given bytes. */
export function unpackRecord(packed: Uint8Array): NewRecord | null {
  const end = packed.indexOf(NEWLINE);
  if (end < 0) return null;
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Facts), textOf(packed.subarray(0, end)));
  if (!parsed.success) return null;
  const { at: timestampMs, empty: isEmpty, ...facts } = parsed.output;
  return { ...facts, value: isEmpty ? null : packed.subarray(end + 1), timestampMs };
}

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return "";
  }
}

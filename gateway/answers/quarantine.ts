/** Answers about records that could not be read. */
import * as v from "valibot";
import { Count, idOf, listOf, Time } from "./parts.ts";

export const RecordView = v.object({
  id: idOf("qtn"),
  source: v.pipe(v.string(), v.description("A topic, or `redis.high`.")),
  place: v.string(),
  reason: v.string(),
  at: Time,
  bytes: Count,
  is_cut: v.boolean(),
});
export type RecordView = v.InferOutput<typeof RecordView>;
export const RecordList = v.object({ count: Count, ...listOf(RecordView).entries });
export const WholeRecord = v.object({
  ...RecordView.entries,
  headers: v.record(v.string(), v.string()),
  value_base64: v.nullable(v.string()),
});
export const PutBack = v.object({ id: idOf("qtn"), source: v.string() });

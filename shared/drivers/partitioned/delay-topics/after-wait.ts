/** A planned item that could not be written at once, as it is to be written now. Pure. */
import type { NewRecord } from "../../../ports/partition-log.ts";
import type { DelayPlan } from "./plan.ts";

/**
 * It is due when it was planned to be, however long it lay elsewhere: the time at which it was given away moves on with the
 * wait, and the topic is that of what is left. `waitedMs` is by any clock. What is no planned item stays as it is.
 */
export function afterWait(
  record: NewRecord,
  waitedMs: number,
  { plan, topicOf }: { readonly plan: DelayPlan; readonly topicOf: (delayMs: number) => string },
): NewRecord {
  const { headers, topic } = record;
  const isPlanned = plan.delaysMs.some((delayMs) => topicOf(delayMs) === topic);
  const { written, "not-before": notBefore, writer: _writer, ...others } = headers;
  if (!isPlanned || written === undefined || notBefore === undefined) return record;
  const writtenAtMs = Number(written) + waitedMs;
  const leftMs = Number(notBefore) - writtenAtMs;
  if (!Number.isFinite(leftMs)) return record;
  return {
    ...record,
    topic: topicOf(plan.delayFor(leftMs)),
    // Without its writer: what its clock shows now nobody knows.
    headers: { ...others, "not-before": notBefore, written: String(Math.floor(writtenAtMs)) },
    timestampMs: record.timestampMs + waitedMs,
  };
}

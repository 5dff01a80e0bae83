/** Records that could not be read. */
import { idOf } from "../../answers/parts.ts";
import { PutBack, RecordList, WholeRecord } from "../../answers/quarantine.ts";
import * as examples from "../examples.ts";
import type { Operation, Operations } from "../operation.ts";

const tag = "Quarantine";
const one = { tag, named: idOf("qtn"), problems: ["not-found", "not-at-edge"] } as const satisfies Partial<Operation>;

const RECORD = {
  id: "qtn_01m85460egd9s2f6g0h4j8k1mz",
  source: "medium",
  place: "3:1042",
  reason: "is not JSON",
  at: examples.AT,
  bytes: 12,
  is_cut: false,
};

export const quarantineOperations: Operations = {
  "GET /v1/quarantine": {
    id: "listQuarantine",
    tag,
    summary: "List records that could not be read",
    description: "The newest 500, newest first. The embedded set puts nothing aside: its list is empty.",
    answers: {
      200: {
        description: "A page; `count` says how many are listed.",
        schema: RecordList,
        example: { count: 1, data: [RECORD], next_cursor: null },
      },
    },
    problems: ["not-at-edge"],
  },
  "GET /v1/quarantine/:id": {
    ...one,
    id: "showQuarantined",
    summary: "Show a record and its bytes",
    answers: {
      200: {
        description: "All that is kept of it.",
        schema: WholeRecord,
        example: { ...RECORD, headers: {}, value_base64: "bm90IHJlYWRhYmxl" },
      },
    },
  },
  "DELETE /v1/quarantine/:id": {
    ...one,
    id: "removeQuarantined",
    summary: "Delete a record from the list",
    answers: { 204: { description: "Deleted; it stays in the topic `poison`.", schema: null } },
  },
  "POST /v1/quarantine/:id/put-back": {
    ...one,
    id: "putBackQuarantined",
    summary: "Put a record back where it came from",
    description: "As it was, for a processor that can read it by now.",
    answers: {
      202: { description: "Put back.", schema: PutBack, example: { id: RECORD.id, source: RECORD.source } },
    },
    problems: ["not-found", "conflict", "not-at-edge"],
  },
};

/** Dead letters. */
import { DeadLetterList, PlannedReplay, ReplayedLetters, WholeDeadLetter } from "../../answers/dead-letters.ts";
import { idOf } from "../../answers/parts.ts";
import * as examples from "../examples.ts";
import type { Operation, Operations } from "../operation.ts";

const tag = "Dead letters";
const one = { tag, named: idOf("dlv"), problems: ["not-found", "not-at-edge"] } as const satisfies Partial<Operation>;

const LETTER = {
  id: examples.DELIVERY_ID,
  tenant: "default",
  event_id: examples.EVENT_ID,
  event_type: "invoice.paid",
  endpoint_id: examples.ENDPOINT_ID,
  state: "dead",
  reason: "answered 500",
  attempt_count: 10,
  at: examples.LATER,
  event: examples.EVENT_FACTS,
};

export const deadLetterOperations: Operations = {
  "GET /v1/dead-letters": {
    id: "listDeadLetters",
    tag,
    summary: "List dead letters",
    description: "Newest first; `since` and `until` go by the time of the letter.",
    answers: {
      200: { description: "A page.", schema: DeadLetterList, example: { data: [LETTER], next_cursor: null } },
    },
    problems: ["not-at-edge"],
  },
  "POST /v1/dead-letters/replay": {
    id: "replayDeadLetters",
    tag,
    summary: "Replay dead letters by filter",
    description:
      "At `rate_per_s`, so that what has just recovered is not overloaded. `dry_run` counts and changes nothing. What was delivered since is skipped.",
    example: { type: "invoice.paid", rate_per_s: 50, dry_run: true },
    answers: {
      200: {
        description: "How many.",
        schema: ReplayedLetters,
        example: { matched: 12, replayed: 0, skipped: 0, dry_run: true, has_more: false },
      },
    },
    problems: ["invalid-cursor", "request-in-flight", "not-at-edge"],
  },
  "GET /v1/dead-letters/:id": {
    ...one,
    id: "showDeadLetter",
    summary: "Show a dead letter and its data",
    answers: {
      200: { description: "All of it.", schema: WholeDeadLetter, example: { ...LETTER, data: { total: 1 } } },
    },
  },
  "DELETE /v1/dead-letters/:id": {
    ...one,
    id: "removeDeadLetter",
    summary: "Delete a dead letter",
    answers: { 204: { description: "Deleted. A held delivery ends as `dead`, with that reason.", schema: null } },
    problems: ["not-found", "request-in-flight", "not-at-edge"],
  },
  "POST /v1/dead-letters/:id/replay": {
    ...one,
    id: "replayDeadLetter",
    summary: "Replay a dead letter",
    description:
      "Planned durably before it is taken away, so that a crash in between delivers twice and loses nothing. 409 when the event was delivered to the endpoint since.",
    example: {},
    answers: {
      202: {
        description: "Planned, and durable.",
        schema: PlannedReplay,
        example: {
          delivery_id: examples.DELIVERY_ID,
          event_id: examples.EVENT_ID,
          endpoint_id: examples.ENDPOINT_ID,
        },
      },
    },
    problems: ["not-found", "conflict", "request-in-flight", "not-at-edge"],
  },
};

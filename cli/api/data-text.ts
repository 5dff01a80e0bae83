/** The `data` of an answer as the text that was published: parsing and writing again would round numbers. */
import { assert } from "@posthaste/shared/lib/assert.ts";
import { objectSpans } from "@posthaste/shared/domain/json-span.ts";

/** `answer`: of `events.getText` with its data. */
export function dataTextIn(answer: string): string {
  const span = objectSpans(answer, 0).members.get("data");
  assert(span !== undefined, "the answer holds the event's data");
  return answer.slice(span.start, span.end);
}

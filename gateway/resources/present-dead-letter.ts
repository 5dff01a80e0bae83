/** Dead letters as the API shows them. */
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import { eventView } from "./present-event.ts";
import { instantText } from "./present.ts";

export function deadLetterView(letter: DeadLetter): object {
  return {
    id: letter.id,
    tenant: letter.tenant,
    event_id: letter.eventId,
    event_type: letter.envelope.type,
    endpoint_id: letter.endpointId,
    state: letter.state,
    reason: letter.reason,
    attempt_count: letter.attempts,
    at: instantText(letter.atMs),
    event: eventView(letter.envelope),
  };
}

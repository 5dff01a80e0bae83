/** Every page and every form, in the order in which paths are looked for. */
import type { PageRule } from "../page-request.ts";
import { alertPages } from "./alerts.ts";
import { apiKeyPages } from "./api-keys.ts";
import { deadLetterPages } from "./dead-letters.ts";
import { endpointChanges } from "./endpoint-changes.ts";
import { endpointFormPages } from "./endpoint-form.ts";
import { endpointPages } from "./endpoints.ts";
import { eventTypePages } from "./event-types.ts";
import { eventPages } from "./event.ts";
import { eventListPages } from "./events.ts";
import { livePages } from "./live.ts";
import { overviewPages } from "./overview.ts";

export const pages: readonly PageRule[] = [
  ...overviewPages,
  ...eventListPages,
  ...eventPages,
  ...endpointFormPages,
  ...endpointPages,
  ...endpointChanges,
  ...deadLetterPages,
  ...livePages,
  ...alertPages,
  ...eventTypePages,
  ...apiKeyPages,
];

/** What receivers get: the body of a message, and `data` of our own events (`own-event.ts` makes them, a test holds both together). */
import * as v from "valibot";
import { ALERT_RULES } from "./alert-rules.ts";
import { GROUP_TYPE } from "./envelope.ts";
import { OWN_TYPES } from "./event.ts";

const Time = v.pipe(v.string(), v.metadata({ format: "date-time" }));
const Text = v.string();

const body = <const Type extends v.GenericSchema, const Data extends v.GenericSchema>(type: Type, data: Data) =>
  v.object({ type, timestamp: Time, data });
const own = <const Data extends v.GenericSchema>(kind: string, data: Data) =>
  body(v.literal(`${OWN_TYPES}${kind}`), data);

const EventBody = body(Text, v.unknown());
const BatchBody = body(
  v.literal(GROUP_TYPE),
  v.array(v.object({ id: v.pipe(Text, v.description("The event's own id.")), ...EventBody.entries })),
);

const ofEndpoint = { endpoint_id: Text, url: Text };
const disables_at = v.pipe(Time, v.metadata({ description: "At the earliest: at the first failure after it." }));
const DeadData = v.object({
  delivery_id: Text,
  event_id: Text,
  event_type: Text,
  endpoint_id: Text,
  reason: Text,
  attempts: v.number(),
  trace_id: v.nullable(Text),
});

const Severity = v.picklist(["critical", "warning"]);
const RuleName = v.picklist(Object.keys(ALERT_RULES));
const alertTypes = Object.keys(ALERT_RULES).map((rule) => `${OWN_TYPES}alert.${rule}`);
const StoreAlert = v.object({
  rule: RuleName,
  severity: Severity,
  since: Time,
  value: v.number(),
  threshold: v.number(),
  unit: Text,
  sentence: v.pipe(Text, v.description("What it means, and where to look.")),
});
const endpointAlert = { severity: Severity, since: Time, tenant: Text, endpoint_id: Text };
const FailingAlert = v.object({ rule: v.literal("endpoint-failing"), ...endpointAlert });
const DisabledAlert = v.object({ rule: v.literal("endpoint-disabled"), ...endpointAlert, reason: v.nullable(Text) });
const ResolvedAlert = v.object({
  rule: Text,
  since: Time,
  resolved_at: Time,
  severity: v.optional(Severity),
  tenant: v.optional(Text),
  endpoint_id: v.optional(Text),
});

interface MessageKind {
  readonly summary: string;
  readonly description: string;
  readonly body: v.GenericSchema;
}

/** By the name that the description of the API gives them. */
export const MESSAGES = {
  event: {
    summary: "An event",
    description: "`webhook-id` is the event's id, the same on each attempt and replay: remember it, and take it once.",
    body: EventBody,
  },
  "posthaste.batch": {
    summary: "Several LOW events in one message",
    description: "For an endpoint with `batch`. `webhook-id` names the group; remember the `id` of each event in it.",
    body: BatchBody,
  },
  "posthaste.endpoint.failing": {
    summary: "An endpoint fails",
    description: "No attempt succeeded for half of the time after which it is disabled. For who names the type.",
    body: own("endpoint.failing", v.object({ ...ofEndpoint, failing_since: Time, disables_at })),
  },
  "posthaste.endpoint.disabled": {
    summary: "An endpoint was disabled",
    description: "It failed for too long, or answered 410.",
    body: own(
      "endpoint.disabled",
      v.object({ ...ofEndpoint, failing_since: v.optional(Time), reason: v.nullable(Text) }),
    ),
  },
  "posthaste.endpoint.recovered": {
    summary: "An endpoint recovered",
    description: "An attempt succeeded after one of the two before.",
    body: own("endpoint.recovered", v.object({ ...ofEndpoint, failing_since: Time })),
  },
  "posthaste.delivery.dead": {
    summary: "A delivery is dead",
    description: "No attempt is left. The list of dead letters is complete; this may be missing while a lane is full.",
    body: own("delivery.dead", DeadData),
  },
  "posthaste.alert": {
    summary: "An alert begins",
    description: "To endpoints of the tenant `operator`, where `*` takes them as well.",
    body: body(v.picklist(alertTypes), StoreAlert),
  },
  "posthaste.alert.endpoint-failing": {
    summary: "An endpoint of some tenant fails",
    description: "What its tenant is told the operator hears, too.",
    body: own("alert.endpoint-failing", FailingAlert),
  },
  "posthaste.alert.endpoint-disabled": {
    summary: "An endpoint of some tenant was disabled",
    description: "What its tenant is told the operator hears, too.",
    body: own("alert.endpoint-disabled", DisabledAlert),
  },
  "posthaste.alert.resolved": {
    summary: "An alert ends",
    description: "With `severity`, or, of an endpoint, with `tenant` and `endpoint_id`.",
    body: own("alert.resolved", ResolvedAlert),
  },
} as const satisfies Record<string, MessageKind>;

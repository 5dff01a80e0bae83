/** What receivers get: the messages of Posthaste, in the form of Standard Webhooks 1.0.0. */
import { MESSAGES } from "@posthaste/shared/domain/own-event-data.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Catalogue, CatalogueType } from "@posthaste/shared/domain/event-types.ts";
import { AT } from "./examples.ts";
import type { JsonSchema, JsonValue } from "./json-schema.ts";
import { jsonSchemaOf } from "./json-schema.ts";
import type { MediaType, OpenApi, OperationObject, Parameter, PathItem, Reference } from "./open-api.ts";

const field = (name: string, required: boolean, description: string, example: string): Parameter => ({
  name,
  in: "header",
  required,
  description,
  schema: { type: "string" },
  example,
});

/** Of every message, beside `content-type` and those that the endpoint's owner has set. */
const FIELDS: readonly Parameter[] = [
  field("webhook-id", true, "Of the message; the same on each attempt.", "evt_01m85460eg2gx2nzxsx6h17r3c"),
  field(
    "webhook-timestamp",
    true,
    "Unix seconds of the attempt. Refuse what is older than five minutes.",
    "1769860800",
  ),
  field(
    "webhook-signature",
    true,
    "`v1,` and the base64 of HMAC-SHA-256 over `{webhook-id}.{webhook-timestamp}.{body}`; one for each secret in force, with a space between.",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  ),
  field("posthaste-attempt", true, "Number of the attempt, from 1.", "1"),
  field("accept-encoding", true, "Answers are read as they are.", "identity"),
  field("user-agent", true, "The program.", "Posthaste/0.1 (+webhooks)"),
  field("traceparent", false, "W3C Trace Context.", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
  field("tracestate", false, "W3C Trace Context.", "vendor=value"),
];

const PARAMETERS = "#/components/parameters/";

export const MESSAGE_FIELDS: OpenApi["components"]["parameters"] = Object.fromEntries(
  FIELDS.map((each) => [each.name, each]),
);

/** The parameter itself, where a reference stands for it. */
export function parameterOf({ components }: OpenApi, parameter: Parameter | Reference): Parameter {
  if (!("$ref" in parameter)) return parameter;
  const found = components.parameters[parameter.$ref.slice(PARAMETERS.length)];
  assert(found !== undefined, `${parameter.$ref} is in the document`);
  return found;
}

const RESPONSES: OperationObject["responses"] = {
  "2XX": { description: "Delivered, whatever the body says." },
  410: { description: "The endpoint is disabled, and its owner is told." },
  429: {
    description: "Sent again as the retry policy says, not before `Retry-After`; the endpoint gets fewer at once.",
  },
  503: { description: "As 429." },
  default: { description: "Sent again as the retry policy says. Redirects are not followed. 15 seconds is the most." },
};

/** Our own messages, and those of the catalogue's types. */
export function webhooks(catalogue: Catalogue | null): OpenApi["webhooks"] {
  const own = Object.entries(MESSAGES).map(([kind, { summary, description, body }]) => {
    const id = kind.replaceAll(/[.-]/g, "_");
    return [kind, message({ id, summary, description, body: { schema: jsonSchemaOf(body) } })];
  });
  const listed = [...(catalogue?.types.values() ?? [])].map((type, index) => [
    // No name of ours is taken by one of theirs.
    Object.hasOwn(MESSAGES, type.name) ? `${type.name} of the catalogue` : type.name,
    message(listedMessage(type, index + 1)),
  ]);
  return Object.fromEntries([...own, ...listed]) as OpenApi["webhooks"];
}

function listedMessage(type: CatalogueType, number: number): Parameters<typeof message>[0] {
  const { name, description, schemaText, exampleText, isDeprecated } = type;
  const data = schemaText === null ? {} : resourceOf(name, JSON.parse(schemaText) as JsonSchema);
  const example =
    exampleText === null ? {} : { example: { type: name, timestamp: AT, data: JSON.parse(exampleText) as JsonValue } };
  return {
    // The number keeps apart what differs in its punctuation alone.
    id: `type_${number}_${name}`,
    summary: name,
    description: description ?? "An event of this type.",
    body: {
      schema: {
        type: "object",
        required: ["type", "timestamp", "data"],
        properties: { type: { const: name }, timestamp: TIMESTAMP, data },
      },
      ...example,
    },
    ...(isDeprecated ? { deprecated: true } : {}),
  };
}

const TIMESTAMP: JsonSchema = { type: "string", format: "date-time" };

/** With an id of its own references such as `#/$defs/a` lead into this schema, and not into the document that it stands in. */
function resourceOf(name: string, schema: JsonSchema): JsonSchema {
  return "$id" in schema ? schema : { $id: `urn:posthaste:event-type:${name}`, ...schema };
}

function message(of: {
  id: string;
  summary: string;
  description: string;
  body: MediaType;
  deprecated?: true;
}): PathItem {
  const { id, body, ...words } = of;
  return {
    post: {
      operationId: `receive_${id}`,
      tags: ["Messages"],
      ...words,
      security: [],
      parameters: FIELDS.map((given) => ({ $ref: `${PARAMETERS}${given.name}` })),
      requestBody: { required: true, content: { "application/json": body } },
      responses: RESPONSES,
    },
  };
}

/**
 * The description of the API, OpenAPI 3.1, from the routes as they are registered, the schemas that they parse with, and the
 * operations' words. The same routes give the same text.
 */
import { StructuredCloudEvent } from "@posthaste/shared/domain/cloud-event.ts";
import type { Catalogue } from "@posthaste/shared/domain/event-types.ts";
import { VERSION } from "@posthaste/shared/domain/version.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Route } from "../request/handle.ts";
import type { HeaderName } from "./components.ts";
import { headerRefs, HEADERS, NAMED, SECURITY_SCHEMES } from "./components.ts";
import type { AnySchema, JsonSchema } from "./json-schema.ts";
import { jsonSchemaOf, namedJsonSchemas, schemaRef } from "./json-schema.ts";
import type { MediaType, OpenApi, OperationObject, Parameter, RequestBody, ResponseObject } from "./open-api.ts";
import type { Answer, Operation, Operations } from "./operation.ts";
import { TAGS } from "./operation.ts";
import { apiKeyOperations } from "./operations/api-keys.ts";
import { deadLetterOperations } from "./operations/dead-letters.ts";
import { endpointOperations } from "./operations/endpoints.ts";
import { eventTypeOperations } from "./operations/event-types.ts";
import { eventOperations } from "./operations/events.ts";
import { openOperations } from "./operations/open.ts";
import { portalLinkOperations } from "./operations/portal-links.ts";
import { quarantineOperations } from "./operations/quarantine.ts";
import type { KeptResponses } from "./problems.ts";
import { problemResponses } from "./problems.ts";
import { MESSAGE_FIELDS, webhooks } from "./webhooks.ts";

export const OPERATIONS: Operations = {
  ...eventOperations,
  ...eventTypeOperations,
  ...endpointOperations,
  ...deadLetterOperations,
  ...apiKeyOperations,
  ...portalLinkOperations,
  ...quarantineOperations,
  ...openOperations,
};

const DESCRIPTION = `A webhook sender: publish an event over HTTP, and it is signed and delivered to every endpoint that subscribes to it.

Times are RFC 3339, ids are strings, unknown members and parameters are refused by name. A list is a page: go on with \`next_cursor\` until it is null. A tenant key acts for its own tenant; an operator key names one by \`tenant\`.

Each problem is \`application/problem+json\` with a stable \`code\`. \`HEAD\` answers as \`GET\`; \`OPTIONS\` tells a path's methods, and any other method is 405 with \`Allow\`. What is not HTTP is refused before it has a route (400, 417, 431, 501, 505).`;

/** `open` are the routes without a key; `catalogue` is null where it is not shown or not known. Throws for a route that is in no table of operations. */
export function createDocument(
  routes: readonly Route[],
  open: readonly { readonly path: string }[],
  catalogue: Catalogue | null = null,
): OpenApi {
  const registered = [
    ...routes.map((route) => ({ method: route.method, path: route.path, route })),
    ...open.map(({ path }) => ({ method: "GET", path, route: null })),
  ];
  const kept: KeptResponses = {};
  const paths: Record<string, Record<string, OperationObject>> = {};
  for (const { method, path, route } of registered) {
    const operation = OPERATIONS[`${method} ${path}`];
    assert(operation !== undefined, `${method} ${path} is described`);
    const item = (paths[path.replaceAll(/:(\w+)/g, "{$1}")] ??= {});
    item[method.toLowerCase()] = operationObject(operation, route, kept);
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Posthaste",
      version: VERSION,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    servers: [{ url: "/", description: "The gateway that serves this." }],
    tags: [
      ...Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      { name: "Messages", description: "What receivers get, signed as Standard Webhooks say." },
    ],
    paths,
    webhooks: webhooks(catalogue),
    components: {
      schemas: namedJsonSchemas(NAMED),
      responses: sorted(kept),
      parameters: MESSAGE_FIELDS,
      headers: HEADERS,
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

function operationObject(operation: Operation, route: Route | null, kept: KeptResponses): OperationObject {
  const { id, tag, summary, description } = operation;
  const parameters = parametersOf(operation, route);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    security: route === null ? [] : [{ bearer: [route.scope] }, { apiKey: [route.scope] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route?.body == null ? {} : { requestBody: requestBody(operation, route.body) }),
    responses: {
      ...Object.fromEntries(
        Object.entries(operation.answers).map(([status, answer]) => [status, responseObject(answer, route !== null)]),
      ),
      ...problemResponses(route, operation, kept),
    },
  };
}

function parametersOf({ named, needs, takesIdempotencyKey }: Operation, route: Route | null): readonly Parameter[] {
  const inPath: readonly Parameter[] =
    named === undefined
      ? []
      : [
          {
            name: /:(\w+)/.exec(route?.path ?? "")?.[1] ?? "id",
            in: "path",
            required: true,
            ...described(jsonSchemaOf(named)),
          },
        ];
  const inQuery: readonly Parameter[] = Object.entries(route?.query ?? {}).map(([name, schema]) => {
    const required = needs?.includes(name) === true;
    return {
      name,
      in: "query",
      ...(required ? { required } : {}),
      ...described(jsonSchemaOf(schema)),
    };
  });
  return [...inPath, ...inQuery, ...(takesIdempotencyKey === true ? [IDEMPOTENCY_KEY] : [])];
}

function sorted(kept: KeptResponses): KeptResponses {
  return Object.fromEntries(Object.entries(kept).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

const IDEMPOTENCY_KEY: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  description:
    "1 to 255 visible characters, best in double quotes; kept for 24 hours. The same request again under it gets the first answer.",
  schema: { type: "string", minLength: 1, maxLength: 257, pattern: "^[!-~]+$" },
  example: '"order-1001"',
};

/** A parameter's description stands beside its schema. */
function described({ description, ...schema }: JsonSchema): Pick<Parameter, "description" | "schema"> {
  return { ...(typeof description === "string" ? { description } : {}), schema };
}

function requestBody(operation: Operation, rule: NonNullable<Route["body"]>): RequestBody {
  const { example } = operation;
  const json = { schema: schemaOf(rule.schema), ...(example === undefined ? {} : { example }) };
  const cloudEvent = { schema: schemaOf(StructuredCloudEvent) };
  return {
    required: !rule.isOptional,
    description: `At most ${rule.bytesMax / 1024} KiB.`,
    content: {
      "application/json": json,
      ...(rule.takesCloudEvents ? { "application/cloudevents+json": cloudEvent } : {}),
    },
  };
}

function responseObject(answer: Answer, isKeyed: boolean): ResponseObject {
  const { description, schema, mediaTypes = ["application/json"], headers = [], example, events } = answer;
  const names: readonly HeaderName[] = [...(isKeyed ? (["ratelimit-policy", "ratelimit"] as const) : []), ...headers];
  const content: MediaType = {
    schema: schema === null ? {} : schemaOf(schema),
    ...(events === undefined ? {} : { "x-events": streamedData(events) }),
    ...(example === undefined ? {} : { example }),
  };
  return {
    description,
    ...(names.length === 0 ? {} : { headers: headerRefs(names) }),
    ...(schema === null ? {} : { content: Object.fromEntries(mediaTypes.map((type) => [type, content])) }),
  };
}

function streamedData(events: NonNullable<Answer["events"]>): NonNullable<MediaType["x-events"]> {
  return Object.fromEntries(Object.entries(events).map(([name, schema]) => [name, schemaOf(schema)]));
}

function schemaOf(schema: AnySchema): JsonSchema {
  const name = Object.keys(NAMED).find((each) => NAMED[each] === schema);
  return name === undefined ? jsonSchemaOf(schema) : schemaRef(name);
}

/** The problems that a route may answer with: those of all routes, those of its kind, its own; as responses by status. */
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { ERRORS, problemType } from "@posthaste/shared/domain/errors.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Route } from "../request/handle.ts";
import type { HeaderName } from "./components.ts";
import { headerRefs } from "./components.ts";
import type { JsonObject } from "./json-schema.ts";
import { schemaRef } from "./json-schema.ts";
import type { OpenApi, Reference, ResponseObject } from "./open-api.ts";
import type { Operation } from "./operation.ts";

const OF_ALL: readonly ErrorCode[] = ["internal", "overloaded", "store-unavailable"];
const OF_KEYED: readonly ErrorCode[] = [
  "invalid-query",
  "unauthenticated",
  "key-expired",
  "key-revoked",
  "missing-scope",
  "wrong-tenant",
  "rate-limited",
  "share-reached",
];
const OF_BODIES: readonly ErrorCode[] = [
  "invalid-json",
  "invalid-utf8",
  "too-deep",
  "invalid-header",
  "request-timeout",
  "body-too-large",
  "unsupported-media-type",
  "validation-failed",
];
const OF_IDEMPOTENCY: readonly ErrorCode[] = ["invalid-header", "idempotency-mismatch", "request-in-flight"];

const PLACE = "#/components/responses/";

/** Each answer once, however many routes give it: by its name in `components`. */
export type KeptResponses = Record<string, ResponseObject>;

/** References to responses that are put into `kept`. `route` is null for one without a key. */
export function problemResponses(
  route: Route | null,
  operation: Operation,
  kept: KeptResponses,
): Readonly<Record<string, Reference>> {
  const codes = [...codesOf(route, operation)];
  const statuses = [...new Set(codes.map((code) => ERRORS[code].status))].toSorted((one, other) => one - other);
  return Object.fromEntries(
    statuses.map((status) => {
      const ofStatus = codes.filter((code) => ERRORS[code].status === status).toSorted();
      const name = [...(route === null ? ["open"] : []), status, ...ofStatus].join(".");
      kept[name] ??= problemResponse(status, ofStatus, route !== null);
      return [String(status), { $ref: `${PLACE}${name}` }];
    }),
  );
}

/** The response itself, where a reference stands for it. */
export function responseOf(document: OpenApi, response: ResponseObject | Reference): ResponseObject {
  if (!("$ref" in response)) return response;
  const found = document.components.responses[response.$ref.slice(PLACE.length)];
  assert(found !== undefined, `${response.$ref} is in the document`);
  return found;
}

function codesOf(route: Route | null, operation: Operation): ReadonlySet<ErrorCode> {
  return new Set<ErrorCode>([
    ...OF_ALL,
    ...(route === null ? [] : OF_KEYED),
    ...(route !== null && "cursor" in route.query ? (["invalid-cursor"] as const) : []),
    ...(route?.body == null ? [] : OF_BODIES),
    ...(operation.takesIdempotencyKey === true ? OF_IDEMPOTENCY : []),
    ...(operation.problems ?? []),
  ]);
}

function problemResponse(status: number, codes: readonly ErrorCode[], isKeyed: boolean): ResponseObject {
  const [first] = codes;
  const of = { properties: { status: { const: status }, code: { enum: codes } } };
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join(". "),
    headers: headerRefs(headersOf(status, isKeyed)),
    content: {
      "application/problem+json": {
        schema: { allOf: [schemaRef("Problem"), of] },
        ...(first === undefined ? {} : { example: exampleOf(first) }),
      },
    },
  };
}

function headersOf(status: number, isKeyed: boolean): readonly HeaderName[] {
  const asksToWait = status === 409 || status === 429 || status === 503;
  return [
    ...(isKeyed ? (["ratelimit-policy", "ratelimit"] as const) : []),
    ...(asksToWait ? (["retry-after"] as const) : []),
    ...(status === 401 ? (["www-authenticate"] as const) : []),
    ...(status === 415 ? (["accept-encoding"] as const) : []),
  ];
}

function exampleOf(code: ErrorCode): JsonObject {
  const { status, title } = ERRORS[code];
  return { type: problemType(code), title, status, detail: `${title}.`, code, trace_id: EXAMPLE_TRACE_ID };
}

const EXAMPLE_TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";

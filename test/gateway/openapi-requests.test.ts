/**
 * Requests made from the description, right ones and ones that are a little wrong, against a living gateway: no answer is a 5xx
 * or one that is not described (`documented-answers.ts`), and what the description takes is taken. Seeds are printed on failure.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { JsonValue } from "@posthaste/gateway/openapi/json-schema.ts";
import type { OperationObject, Parameter } from "@posthaste/gateway/openapi/open-api.ts";
import { parameterOf } from "@posthaste/gateway/openapi/webhooks.ts";
import { DOCUMENT } from "../support/documented-answers.ts";
import type { Answer, GatewayHarness } from "../support/gateway-harness.ts";
import { at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import type { KnownIds } from "../support/schema-arbitrary.ts";
import { brokenOf, ODD, valuesOf } from "../support/schema-arbitrary.ts";

/** Of either kind, for each of some forty operations. */
const RUNS = 50;

/** Two things are right each by itself and wrong together, or in a state that no schema knows. */
const BY_STATE = new Set(["conflict", "not-found", "id-conflict", "idempotency-mismatch", "gone", "limit-reached"]);
/** What a description in JSON Schema cannot say of these. */
const FINER: Readonly<Record<string, RegExp>> = {
  publishEvent: /at most 30 days ahead/,
  changeEndpoint: /must be given again/,
  resendEvent: /is no endpoint of the tenant/,
  replayEndpoint: /must be later than since/,
  createApiKey: /must lie in the future/,
};

const CALLERS = ["operator", "limited", "nobody"] as const;

interface Request {
  readonly caller: (typeof CALLERS)[number];
  readonly path: string;
  readonly body: JsonValue | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

interface Populated {
  readonly harness: GatewayHarness;
  readonly keyOf: Readonly<Record<(typeof CALLERS)[number], string | null>>;
  readonly known: KnownIds;
}

async function openPopulated(): Promise<Populated> {
  const harness = await openGatewayHarness();
  const create = async (path: string, body: object): Promise<string> =>
    textAt((await harness.call("POST", path, { body })).json, "id");
  const ep = await create("/v1/endpoints", { url: "https://a.example/" });
  const later = new Date(harness.clock.now() + 60_000).toISOString();
  const evt = await create("/v1/events", { type: "order.paid", data: { n: 1 } });
  const waiting = await create("/v1/events", { type: "order.paid", data: 1, deliver_at: later });
  const key = await create("/v1/api-keys", { name: "second" });
  await harness.call("PUT", "/v1/event-types/order.shipped", { body: {} });
  const { id: dlv } = await harness.addDeadLetter({ endpointId: ep });
  const rateLimit = { limit: 3, windowMs: 50, failureMode: "local" } as const;
  const limited = await harness.createKey({ tenant: "default", rateLimit });
  const keyOf = { operator: harness.operatorKey, limited, nobody: null };
  return { harness, keyOf, known: { ep, evt, waiting, key, dlv, type: "order.shipped" } };
}

function parametersOf(operation: OperationObject): readonly Parameter[] {
  return (operation.parameters ?? []).map((parameter) => parameterOf(DOCUMENT, parameter));
}

/** The id of an event has no prefix in its pattern, as publishers have their own. */
function pathOf(path: string, operation: OperationObject, known: KnownIds): fc.Arbitrary<string> {
  const named = parametersOf(operation).find((parameter) => parameter.in === "path");
  if (named === undefined) return fc.constant(path);
  const id = operation.operationId === "cancelEvent" ? known["waiting"] : known["evt"];
  const isFreelyNamed = path.startsWith("/v1/events/") || named.name === "name";
  const ids = isFreelyNamed
    ? fc.oneof(
        { arbitrary: fc.constant(named.name === "name" ? known["type"] : id), weight: 6 },
        { arbitrary: valuesOf(named.schema, known), weight: 1 },
      )
    : valuesOf(named.schema, known);
  return ids.map((value) => path.replace(/\{\w+\}/, encodeURIComponent(typeof value === "string" ? value : "")));
}

function rightOf(path: string, operation: OperationObject, known: KnownIds): fc.Arbitrary<Request> {
  const queries = parametersOf(operation).filter((parameter) => parameter.in === "query");
  const required = queries.filter((parameter) => parameter.required === true).map(({ name }) => name);
  // A tenant that is made up has nothing, and a cursor that is made up is none of ours.
  const drawn = queries.filter(({ name }) => name !== "tenant" && name !== "cursor");
  const query = fc.record(Object.fromEntries(drawn.map(({ name, schema }) => [name, valuesOf(schema, known)])), {
    requiredKeys: required,
    noNullPrototype: true,
  });
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const body = schema === undefined ? fc.constant(undefined) : valuesOf(schema, known);
  return fc.tuple(pathOf(path, operation, known), query, body).map(([where, asked, sent]) => ({
    path: `${where}${queryText(asked as Readonly<Record<string, JsonValue>>)}`,
    body: withoutMadeUp(sent),
    headers: {},
    caller: "operator",
  }));
}

function wrongOf(path: string, operation: OperationObject, known: KnownIds): fc.Arbitrary<Request> {
  const names = [...parametersOf(operation).map(({ name }) => name), "unheard", "tenant"];
  const query = fc.dictionary(fc.constantFrom(...names), ODD, { maxKeys: 2 });
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const body = schema === undefined ? fc.constant(undefined) : fc.option(brokenOf(schema, known), { nil: undefined });
  const visible = fc.stringMatching(/^[ -~]{0,30}$/);
  const headers = fc.record(
    {
      "idempotency-key": visible,
      "content-type": fc.constantFrom(
        "text/plain",
        "application/json",
        "application/json; charset=utf-8",
        "application/cloudevents+json",
        "application/json;a=b",
      ),
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  const caller = fc.constantFrom("operator", ...CALLERS);
  return fc
    .tuple(pathOf(path, operation, known), query, body, headers, caller)
    .map(([where, asked, sent, fields, by]) => ({
      path: `${where}${queryText(asked)}`,
      body: sent,
      headers: fields,
      caller: by,
    }));
}

function queryText(query: Readonly<Record<string, JsonValue>>): string {
  const text = new URLSearchParams(
    Object.entries(query).map<[string, string]>(([name, value]) => [
      name,
      typeof value === "string" ? value.toWellFormed() : JSON.stringify(value),
    ]),
  );
  return text.size === 0 ? "" : `?${text.toString()}`;
}

/** As in the query. */
function withoutMadeUp(body: JsonValue | undefined): JsonValue | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const { tenant: _tenant, cursor: _cursor, ...others } = body as Readonly<Record<string, JsonValue>>;
  return others;
}

async function send({ harness, keyOf }: Populated, method: string, request: Request): Promise<Answer> {
  // The tail has no end.
  const wanted = method === "get" && request.path.startsWith("/v1/tail") ? "HEAD" : method.toUpperCase();
  const { path, body, headers, caller } = request;
  const answer = await harness.call(wanted, path, {
    key: keyOf[caller],
    headers,
    ...(body === undefined ? {} : { body }),
  });
  await harness.clock.advance(1);
  assert.ok(answer.status < 500, answer.text);
  assert.deepEqual(
    harness.logged.filter(({ event }) => event === "request.crashed"),
    [],
  );
  return answer;
}

function isTaken({ operationId }: OperationObject, answer: Answer): boolean {
  if (answer.status < 400 || BY_STATE.has(String(at(answer.json, "code")))) return true;
  return FINER[operationId]?.test(answer.text) === true;
}

/** The embedded set puts no record aside. */
const EMPTY_HERE = new Set(["showQuarantined", "removeQuarantined", "putBackQuarantined"]);

for (const [path, item] of Object.entries(DOCUMENT.paths)) {
  for (const [method, operation] of Object.entries(item)) {
    const { operationId } = operation;
    test(`${operationId}: what is described is taken, and answered as described`, async () => {
      const statuses = new Set<number>();
      const populated = await openPopulated();
      await using _ = populated.harness;
      await fc.assert(
        fc.asyncProperty(rightOf(path, operation, populated.known), async (request) => {
          const answer = await send(populated, method, request);
          statuses.add(answer.status);
          assert.ok(isTaken(operation, answer), `${answer.status} for ${method} ${request.path}: ${answer.text}`);
        }),
        { numRuns: RUNS },
      );
      const isReached = [...statuses].some((status) => status < 300);
      assert.ok(
        isReached || EMPTY_HERE.has(operationId),
        `${operationId} never succeeded: ${[...statuses].join(", ")}`,
      );
    });

    test(`${operationId}: what is a little wrong is answered as described`, async () => {
      const populated = await openPopulated();
      await using _ = populated.harness;
      await fc.assert(
        fc.asyncProperty(wrongOf(path, operation, populated.known), async (request) => {
          await send(populated, method, request);
        }),
        { numRuns: RUNS },
      );
    });
  }
}

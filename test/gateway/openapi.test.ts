/** `/openapi.json`: it is valid, whole and true to the routes; what it says of answers is held by every test of the gateway. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { OPERATIONS, createDocument } from "@posthaste/gateway/openapi/document.ts";
import { jsonSchemaOf } from "@posthaste/gateway/openapi/json-schema.ts";
import type { JsonValue } from "@posthaste/gateway/openapi/json-schema.ts";
import type { Content, OperationObject } from "@posthaste/gateway/openapi/open-api.ts";
import { responseOf } from "@posthaste/gateway/openapi/problems.ts";
import { ERRORS } from "@posthaste/shared/domain/errors.ts";
import { VERSION } from "@posthaste/shared/domain/version.ts";
import * as v from "valibot";
import { assertMatches, DOCUMENT, OPEN_ROUTES, ROUTES } from "../support/documented-answers.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";

const root = join(import.meta.dirname, "../..");
const registered = [
  ...ROUTES.map(({ method, path }) => `${method} ${path}`),
  ...OPEN_ROUTES.map(({ path }) => `GET ${path}`),
];
const items = [...Object.values(DOCUMENT.paths), ...Object.values(DOCUMENT.webhooks)];
const operations: readonly OperationObject[] = items.flatMap((item) => Object.values(item));
const calls = Object.values(DOCUMENT.paths).flatMap((item) => Object.values(item));
const text = JSON.stringify(DOCUMENT);

test("an independent validator finds it to be OpenAPI 3.1", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(JSON.parse(text) as Record<string, unknown>);
  assert.ok(valid, JSON.stringify(errors, null, 1));
  assert.equal(validator.version, "3.1");
});

test("every registered route is described, and nothing that is not registered", () => {
  assert.deepEqual(Object.keys(OPERATIONS).toSorted(), registered.toSorted());
  const described = Object.entries(DOCUMENT.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
  );
  assert.deepEqual(described.toSorted(), registered.toSorted());
});

test("a route that nobody described cannot be served", () => {
  assert.throws(() => createDocument(ROUTES, [{ path: "/v1/unheard-of" }]), /GET \/v1\/unheard-of is described/);
});

test("a check that says nothing in the words of JSON Schema is refused, and one that does is not", () => {
  const isEven = v.check((value: number) => value % 2 === 0, "must be even");
  assert.throws(() => jsonSchemaOf(v.pipe(v.number(), isEven)), /a check has no metadata/);
  const described = v.pipe(v.number(), v.metadata({ multipleOf: 2, description: "Even." }), isEven);
  assert.deepEqual(jsonSchemaOf(described), { type: "number", multipleOf: 2, description: "Even." });
});

test("every reference leads somewhere, and every part that has a name is referred to", () => {
  const referred = new Set(
    Array.from(text.matchAll(/"\$ref":"#\/components\/(\w+)\/([^"]+)"/g), ([, kind, name]) => `${kind} ${name}`),
  );
  assert.equal(text.split('"$ref"').length - 1, [...text.matchAll(/"\$ref":"#\/components\//g)].length);
  const { securitySchemes: _schemes, ...parts } = DOCUMENT.components;
  const named = Object.entries(parts).flatMap(([kind, all]) => Object.keys(all).map((name) => `${kind} ${name}`));
  assert.deepEqual([...referred].toSorted(), named.toSorted());
});

test("every operation has its own id, a summary, a known tag, and the scope of its route", () => {
  const ids = operations.map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length);
  const tags = new Set(DOCUMENT.tags.map(({ name }) => name));
  for (const { operationId, summary, tags: own } of operations) {
    assert.ok(own.length === 1 && own.every((tag) => tags.has(tag)), operationId);
    assert.match(summary, /^[A-Z].*[^.]$/, operationId);
  }
  for (const { method, path, scope } of ROUTES) {
    const operation = DOCUMENT.paths[path.replace(/:(\w+)/, "{$1}")]?.[method.toLowerCase()];
    assert.deepEqual(operation?.security, [{ bearer: [scope] }, { apiKey: [scope] }]);
  }
});

test("every error code stands in some answer, but for those that come before a route", () => {
  const before = [
    "invalid-request",
    "method-not-allowed",
    "expectation-failed",
    "head-too-large",
    "transfer-coding-not-supported",
    "version-not-supported",
  ];
  const named = new Set(Object.keys(DOCUMENT.components.responses).flatMap((name) => name.split(".")));
  const missing = Object.keys(ERRORS).filter((code) => !named.has(code));
  assert.deepEqual(missing.toSorted(), before.toSorted());
});

test("every example is one that its schema takes, and every body and answer has one", () => {
  const without: string[] = [];
  const check = (content: Content, what: string): void => {
    for (const [type, { schema, example }] of Object.entries(content)) {
      if (!/^application\/(?:problem\+)?json$/.test(type)) continue;
      if (example === undefined) without.push(what);
      else assertMatches(schema, JSON.stringify(example), `the example of ${what}`);
    }
  };
  for (const { operationId, requestBody, responses } of calls) {
    if (requestBody !== undefined) check(requestBody.content, operationId);
    for (const [status, response] of Object.entries(responses)) {
      check(responseOf(DOCUMENT, response).content ?? {}, `${operationId} ${status}`);
    }
  }
  assert.deepEqual(without, ["openapi 200"]);
});

test("the examples that stand in schemas are taken by them", () => {
  const schemas: { schema: JsonValue; examples: readonly JsonValue[] }[] = [];
  const visit = (value: JsonValue | undefined): void => {
    if (typeof value !== "object" || value === null) return;
    if ("examples" in value && Array.isArray(value["examples"]))
      schemas.push({ schema: value, examples: value["examples"] });
    for (const part of Object.values(value) as readonly (JsonValue | undefined)[]) visit(part);
  };
  visit(JSON.parse(text) as JsonValue);
  assert.ok(schemas.length > 10);
  for (const { schema, examples } of schemas) {
    for (const example of examples)
      assertMatches(schema as Readonly<Record<string, JsonValue>>, JSON.stringify(example), "an example");
  }
});

test("docs/api.md names the path of every route", () => {
  const page = readFileSync(join(root, "docs/api.md"), "utf8");
  // `.../test` goes on from the path of one thing.
  const missing = registered.filter((route) => {
    const [, path = ""] = route.split(" ");
    const end = path.slice(path.lastIndexOf("/"));
    return !page.includes(path) && !page.includes(`...${end}`);
  });
  assert.deepEqual(missing, []);
});

test("200 without a key, the same text each time, and 304 for who has it", async () => {
  await using harness = await openGatewayHarness();
  for (const path of ["/openapi.json", "/docs"]) {
    const first = await harness.call("GET", path, { key: null });
    assert.equal(first.status, 200);
    assert.equal(first.headers.get("cache-control"), "no-cache");
    const etag = first.headers.get("etag") ?? "";
    assert.match(etag, /^"[0-9a-f]{32}"$/);
    assert.equal((await harness.call("GET", path, { key: null })).text, first.text);
    for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const known = await harness.call("GET", path, { key: null, headers: { "if-none-match": tags } });
      assert.deepEqual([known.status, known.text, known.headers.get("etag")], [304, "", etag]);
    }
    const changed = await harness.call("GET", path, { key: null, headers: { "if-none-match": '"other"' } });
    assert.equal(changed.status, 200);
    const head = await harness.call("HEAD", path, { key: null });
    assert.deepEqual([head.status, head.text, head.headers.get("etag")], [200, "", etag]);
  }
  const { json } = await harness.call("GET", "/openapi.json", { key: null });
  assert.deepEqual(json, JSON.parse(text));
  assert.equal(DOCUMENT.info.version, VERSION);
});

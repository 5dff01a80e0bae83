/**
 * Holds an answer of the gateway to the description of the API: its route has that status, its body is what the description says
 * and nothing beside it, its fields are named. Every test that asks a gateway by the harness goes through it.
 */
import assert from "node:assert/strict";
import type { ValidateFunction } from "ajv/dist/2020.js";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { createOpenRoutes, createRoutes } from "@posthaste/gateway/app.ts";
import { createDocument } from "@posthaste/gateway/openapi/document.ts";
import type { JsonSchema, JsonValue } from "@posthaste/gateway/openapi/json-schema.ts";
import type { OpenApi, OperationObject } from "@posthaste/gateway/openapi/open-api.ts";
import { responseOf } from "@posthaste/gateway/openapi/problems.ts";
import type { RouteDeps } from "@posthaste/gateway/app.ts";

const deps = {} as RouteDeps;
export const ROUTES = createRoutes(deps);
export const OPEN_ROUTES = createOpenRoutes(deps, ROUTES, () => false);
export const DOCUMENT: OpenApi = createDocument(ROUTES, OPEN_ROUTES);

/** What any HTTP answer may carry, by a server or its runtime. */
const COMMON_FIELDS = new Set(
  "cache-control connection content-length content-type date keep-alive transfer-encoding".split(" "),
);
const SAFE_FIELDS = new Set(["x-content-type-options", "referrer-policy", "x-accel-buffering"]);

export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly path: string;
}

export interface Given {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export function assertDocumented({ method, path }: Asked, given: Given): void {
  const operation = operationOf(method, path);
  const { status, text, headers } = given;
  if (operation === null) {
    if (status >= 400) assertMatches({ $ref: "#/components/schemas/Problem" }, text, `${status} of ${method} ${path}`);
    return;
  }
  const { operationId, responses } = operation;
  const named = responses[String(status)];
  assert.ok(named !== undefined, `${operationId} has no ${status} in its description: ${text}`);
  const response = responseOf(DOCUMENT, named);
  for (const name of headers.keys()) {
    const isNamed = Object.hasOwn(response.headers ?? {}, name) || COMMON_FIELDS.has(name) || SAFE_FIELDS.has(name);
    assert.ok(isNamed, `${operationId} ${status} has no field ${name} in its description`);
  }
  if (method === "HEAD") return;
  const { content } = response;
  if (content === undefined) return assert.equal(text, "", `${operationId} ${status} has no body in its description`);
  const type = (headers.get("content-type") ?? "").split(";", 1)[0] ?? "";
  const media = content[type];
  assert.ok(media !== undefined, `${operationId} ${status} has no ${type} in its description`);
  if (type.endsWith("json")) assertMatches(media.schema, text, `${operationId} ${status}`);
}

/** Null for what no route takes. */
export function operationOf(method: string, path: string): OperationObject | null {
  const [pathname = ""] = path.split("?", 1);
  const parts = pathname.split("/");
  for (const [template, item] of Object.entries(DOCUMENT.paths)) {
    const operation = item[method === "HEAD" ? "get" : method.toLowerCase()];
    const wanted = template.split("/");
    const isMatch =
      wanted.length === parts.length &&
      wanted.every((part, index) => (/^\{\w+\}$/.test(part) ? parts[index] !== "" : part === parts[index]));
    if (operation !== undefined && isMatch && isLiteral(template, pathname)) return operation;
  }
  return null;
}

/** `/v1/events/batch` is no event's id. */
function isLiteral(template: string, pathname: string): boolean {
  return !template.includes("{") || !Object.hasOwn(DOCUMENT.paths, pathname);
}

export function assertMatches(schema: JsonSchema, text: string, what: string): void {
  const validate = validatorOf(schema);
  assert.ok(
    validate(JSON.parse(text)),
    `${what} is not as described: ${JSON.stringify(validate.errors?.slice(0, 3))}\n${text.slice(0, 2000)}`,
  );
}

const ajv = new Ajv2020({ strict: false, validateFormats: true });
formats.default(ajv);
const validators = new Map<string, ValidateFunction>();

/** Of the schema with nothing left open: a member that it does not name is refused. */
export function validatorOf(schema: JsonSchema): ValidateFunction {
  const key = JSON.stringify(schema);
  const known = validators.get(key);
  if (known !== undefined) return known;
  const { schemas } = DOCUMENT.components;
  const validate = ajv.compile(closed({ ...schema, components: { schemas } }) as object);
  validators.set(key, validate);
  return validate;
}

function closed(value: JsonValue | undefined): JsonValue | undefined {
  if (Array.isArray(value)) return value.map((item) => closed(item as JsonValue) ?? null);
  if (typeof value !== "object" || value === null) return value;
  const parts = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, closed(part)]));
  const isOpen = parts["type"] === "object" && "properties" in parts && !("additionalProperties" in parts);
  return isOpen ? { ...parts, additionalProperties: false } : parts;
}

/**
 * Values that a JSON Schema of the API's description takes, and values that are a little beside it. Only what our schemas say is
 * understood; anything else throws, so that a new word is noticed.
 */
import * as fc from "fast-check";
import type { JsonObject, JsonSchema, JsonValue } from "@posthaste/gateway/openapi/json-schema.ts";
import { DOCUMENT } from "./documented-answers.ts";

/** Ids of things that are there, by their prefix: an id that is made up leads nowhere. */
export type KnownIds = Readonly<Record<string, string>>;

const KEYWORDS = new Set([
  ..."$ref type properties required additionalProperties propertyNames maxProperties items minItems maxItems".split(
    " ",
  ),
  ..."minimum maximum exclusiveMinimum minLength maxLength pattern format enum const anyOf not".split(" "),
  ..."description default examples".split(" "),
]);
const ITEMS_MAX = 3;

export function valuesOf(schema: JsonSchema, known: KnownIds): fc.Arbitrary<JsonValue> {
  for (const word of Object.keys(schema)) if (!KEYWORDS.has(word)) throw new Error(`${word} in a schema is not known`);
  const { $ref, type, anyOf, enum: values } = schema;
  if (typeof $ref === "string") return valuesOf(named($ref), known);
  if ("const" in schema) return fc.constant(schema["const"] ?? null);
  if (Array.isArray(values)) return fc.constantFrom(...(values as readonly JsonValue[]));
  if (Array.isArray(anyOf)) return fc.oneof(...(anyOf as readonly JsonSchema[]).map((each) => valuesOf(each, known)));
  switch (type) {
    case "string":
      return textsOf(schema, known);
    case "integer":
      return fc.integer({ min: numberIn(schema, "minimum", 0), max: numberIn(schema, "maximum", 1e6) });
    case "number":
      return numbersOf(schema);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valuesOf(objectIn(schema, "items"), known), {
        minLength: numberIn(schema, "minItems", 0),
        maxLength: Math.min(ITEMS_MAX, numberIn(schema, "maxItems", ITEMS_MAX)),
      });
    case "object":
      return objectsOf(schema, known);
    case undefined:
      return fc.jsonValue({ maxDepth: 3 });
    default:
      throw new Error(`the type ${JSON.stringify(type)} is not known`);
  }
}

/** One part of a good value is replaced, removed, added or made too large. */
export function brokenOf(schema: JsonSchema, known: KnownIds): fc.Arbitrary<JsonValue> {
  return fc.tuple(valuesOf(schema, known), fc.nat(), ODD, fc.nat(3)).map(([value, place, odd, how]) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return odd;
    const members = { ...(value as JsonObject) };
    const names = Object.keys(members);
    const name = names[place % Math.max(1, names.length)] ?? "nothing";
    if (how === 0) return odd;
    if (how === 1) return { ...members, [`${name}x`]: odd };
    if (how === 2) return { ...members, [name]: odd };
    const { [name]: _removed, ...others } = members;
    return others;
  });
}

/** What is seldom right where it stands. */
export const ODD: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.constantFrom<JsonValue>(null, true, -1, 0, 1e308, 2 ** 53, "", "*", " ", [], {}, [[]], "\ud800", "a".repeat(3000)),
  fc.constantFrom<JsonValue>(
    "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59-01:00",
    "http://[::1",
    "__proto__",
    "ep_",
    "\0",
  ),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.jsonValue({ maxDepth: 2 }),
);

function named(ref: string): JsonSchema {
  const schema = DOCUMENT.components.schemas[ref.slice(ref.lastIndexOf("/") + 1)];
  if (schema === undefined) throw new Error(`${ref} is not in the document`);
  return schema;
}

function textsOf(schema: JsonSchema, known: KnownIds): fc.Arbitrary<string> {
  const { pattern, format, not } = schema;
  const [minLength, maxLength] = [numberIn(schema, "minLength", 0), numberIn(schema, "maxLength", 200)];
  if (format === "date-time")
    return fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map((at) => at.toISOString());
  if (typeof pattern === "string" && pattern.startsWith("^whsec_")) return secrets;
  if (format === "uri") {
    const urls = fc.webUrl({ withQueryParameters: true, validSchemes: ["http", "https"] });
    return typeof pattern === "string" ? urls.filter((text) => new RegExp(pattern).test(text)) : urls;
  }
  if (typeof pattern !== "string") return fc.string({ minLength, maxLength: Math.min(maxLength, 40) });
  const id = known[/^\^([a-z]+)_/.exec(pattern)?.[1] ?? ""];
  const made = fc
    .stringMatching(new RegExp(pattern))
    .filter((text) => text.length >= minLength && text.length <= maxLength);
  const wanted =
    typeof not === "object" && not !== null
      ? made.filter((text) => !new RegExp(String(Reflect.get(not, "pattern"))).test(text))
      : made;
  return id === undefined
    ? wanted
    : fc.oneof({ arbitrary: fc.constant(id), weight: 6 }, { arbitrary: wanted, weight: 1 });
}

/** A pattern cannot say how many bytes base64 holds, nor how its last letter ends. */
const secrets = fc
  .uint8Array({ minLength: 24, maxLength: 64 })
  .map((bytes) => `whsec_${Buffer.from(bytes).toString("base64")}`);

function numbersOf(schema: JsonSchema): fc.Arbitrary<number> {
  const min = numberIn(schema, "minimum", 0);
  const made = fc.double({ min, max: numberIn(schema, "maximum", 1e6), noNaN: true, noDefaultInfinity: true });
  const above = numberIn(schema, "exclusiveMinimum", -1);
  return fc.oneof(fc.integer({ min: Math.ceil(min), max: 10 }), made).filter((value) => value > above);
}

function objectsOf(schema: JsonSchema, known: KnownIds): fc.Arbitrary<JsonValue> {
  const { additionalProperties, propertyNames } = schema;
  if (typeof additionalProperties === "object") {
    const names = textsOf(propertyNames as JsonSchema, known);
    return fc.dictionary(names, valuesOf(additionalProperties as JsonSchema, known), { maxKeys: 2 });
  }
  const properties = Object.entries("properties" in schema ? objectIn(schema, "properties") : {});
  const required = new Set("required" in schema ? (schema["required"] as readonly string[]) : []);
  const members = Object.fromEntries(properties.map(([name, member]) => [name, valuesOf(member as JsonSchema, known)]));
  return fc.record(members, { requiredKeys: [...required], noNullPrototype: true });
}

function numberIn(schema: JsonSchema, name: string, otherwise: number): number {
  const value = schema[name];
  return typeof value === "number" ? value : otherwise;
}

function objectIn(schema: JsonSchema, name: string): JsonSchema {
  return (schema[name] ?? {}) as JsonSchema;
}

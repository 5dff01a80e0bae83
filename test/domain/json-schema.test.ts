/** JSON Schema as it is interpreted here: against another implementation, against its own bounds, and what is refused at writing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonSchemaDraft202012Object } from "@hyperjump/json-schema/draft-2020-12";
import { registerSchema, unregisterSchema, validate } from "@hyperjump/json-schema/draft-2020-12";
import * as fc from "fast-check";
import { dataFaults } from "@posthaste/shared/domain/json-schema/check-data.ts";
import { parsePattern } from "@posthaste/shared/domain/json-schema/pattern.ts";
import type { PreparedSchema, Schema, SchemaObject } from "@posthaste/shared/domain/json-schema/schema.ts";
import { prepareSchema, SUBSCHEMAS_MAX } from "@posthaste/shared/domain/json-schema/schema.ts";
import { DATA_FAULTS_MAX } from "@posthaste/shared/domain/json-schema/tally.ts";

function prepared(schema: Schema): PreparedSchema {
  const result = prepareSchema(schema);
  assert.equal(result.kind, "prepared", JSON.stringify(result));
  return result.schema;
}

const faultsOf = (schema: Schema, data: unknown): readonly string[] =>
  dataFaults(prepared(schema), data).map(({ path, detail }) => `${path.join("/")} ${detail}`);

const names = fc.constantFrom("a", "b", "c");
const scalars = fc.constantFrom<unknown>(null, true, 0, 1, 2.5, -3, "", "a", "ab", "🂡🂡", [], {});
const { data } = fc.letrec<{ data: unknown }>((tie) => ({
  data: fc.oneof(
    { maxDepth: 3 },
    scalars,
    fc.array(tie("data"), { maxLength: 3 }),
    fc.dictionary(names, tie("data"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));
const counts = fc.nat(3);
/** Of each group below in one random schema, and of the groups: no more than eight schemas lie in one, so 585 in three levels. */
const TOGETHER_MAX = 2;
const together = (parts: readonly fc.Arbitrary<object>[]): fc.Arbitrary<SchemaObject> =>
  fc.array(fc.oneof(...parts), { minLength: 1, maxLength: TOGETHER_MAX }).map((some) => Object.assign({}, ...some));
const each = (keywords: Readonly<Record<string, fc.Arbitrary<unknown>>>): readonly fc.Arbitrary<object>[] =>
  Object.entries(keywords).map(([keyword, value]) => fc.record({ [keyword]: value }));
const asserting = each({
  type: fc.constantFrom("null", "boolean", "object", "array", "number", "integer", "string"),
  enum: fc.array(scalars, { minLength: 1, maxLength: 4 }),
  const: scalars,
  minimum: fc.integer({ min: -3, max: 3 }),
  multipleOf: fc.constantFrom(0.5, 1, 2),
  maxLength: counts,
  pattern: fc.constantFrom("^a+$", "b", "^(?:a|b){1,2}$", ".{2}"),
  minItems: counts,
  uniqueItems: fc.boolean(),
  maxProperties: counts,
  required: fc.uniqueArray(names),
});
const { schema: schemas } = fc.letrec<{ schema: Schema }>((tie) => {
  const one = tie("schema");
  const some = fc.array(one, { minLength: 1, maxLength: 2 });
  const unevaluated = { unevaluatedItems: one, unevaluatedProperties: one };
  const ways = { allOf: some, anyOf: some, oneOf: some, not: one };
  // Together are those that change what one another means.
  const groups = [
    asserting,
    each({ prefixItems: some, items: one, contains: one, unevaluatedItems: one }),
    each({
      properties: fc.dictionary(names, one, { maxKeys: 2, noNullPrototype: true }),
      patternProperties: fc.dictionary(fc.constantFrom("^a", "b$"), one, { maxKeys: 1, noNullPrototype: true }),
      additionalProperties: one,
      propertyNames: one,
    }),
    each({ ...ways, ...unevaluated }),
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword
    [fc.record({ if: one, then: one, else: one }, { requiredKeys: ["if"] }), ...each(unevaluated)],
  ];
  return { schema: fc.oneof({ maxDepth: 3 }, fc.boolean(), together(groups.map(together))) };
});

// Not ajv: what `contains`, and an `if` whose `else` is not taken, have looked at, it tells otherwise than the specification (2020-12 core, section 11).
test("property: it judges as another implementation does", async () => {
  const id = "https://schemas.example/any";
  await fc.assert(
    fc.asyncProperty(schemas, fc.array(data, { minLength: 1, maxLength: 5 }), async (schema, values) => {
      registerSchema(
        { $schema: "https://json-schema.org/draft/2020-12/schema", allOf: [schema as JsonSchemaDraft202012Object] },
        id,
      );
      try {
        const other = await validate(id);
        for (const value of values) {
          assert.equal(
            dataFaults(prepared(schema), value).length === 0,
            other(value as Parameters<typeof other>[0]).valid,
            JSON.stringify({ schema, value }),
          );
        }
      } finally {
        unregisterSchema(id);
      }
    }),
    { numRuns: 6000 },
  );
});

test("what any way that fits has looked at counts, not of the first one alone", () => {
  const ways = [{ properties: { a: true } }, { properties: { b: true } }];
  assert.deepEqual(faultsOf({ anyOf: ways, unevaluatedProperties: false }, { a: 1, b: 1 }), []);
  const within = { allOf: [{ unevaluatedItems: true }], unevaluatedItems: false };
  assert.deepEqual(faultsOf(within, [1]), []);
});

test("property: a pattern finds what the runtime's own expression finds", () => {
  const atoms = fc.constantFrom(
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    String.raw`\d`,
    String.raw`\w`,
    "^",
    "$",
    String.raw`\b`,
    "🂡",
    String.raw`\u{61}`,
  );
  const { pattern: patterns } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { maxDepth: 4 },
      atoms,
      fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => one + other),
      fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => `(?:${one}|${other})`),
      fc
        .tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"))
        .map(([one, sign]) => `(${one})${sign}`),
    ),
  }));
  const texts = fc.string({ unit: fc.constantFrom("a", "b", "1", " ", "🂡", "\n"), maxLength: 6 });
  fc.assert(
    fc.property(patterns, texts, (pattern, text) => {
      const parsed = parsePattern(pattern);
      assert.equal(parsed.kind, "parsed", pattern);
      assert.equal(
        parsed.pattern.isIn(text, () => undefined),
        new RegExp(pattern, "u").test(text),
        JSON.stringify({ pattern, text }),
      );
    }),
    { numRuns: 3000 },
  );
});

test("references lead to definitions, anchors and the whole, also in circles that go into the data", () => {
  const tree = {
    type: "object",
    properties: { children: { items: { $ref: "#" } }, name: { $ref: "#name" } },
    $defs: { n: { $anchor: "name", type: "string" } },
  };
  assert.deepEqual(faultsOf(tree, { children: [{ children: [{ name: 1 }] }] }), [
    "children/0/children/0/name must be of type string",
  ]);
  const escaped = { $ref: "#/$defs/a~1b%25", $defs: { "a/b%": { const: 1 } } };
  assert.deepEqual([faultsOf(escaped, 1), faultsOf(escaped, 2)], [[], [" must be 1"]]);
});

for (const [name, schema, place] of [
  ["another draft", { $schema: "http://json-schema.org/draft-07/schema#" }, "$schema"],
  ["a reference to elsewhere", { properties: { a: { $ref: "https://a.example/b" } } }, "properties/a/$ref"],
  ["a reference to no schema", { $ref: "#/enum", enum: [] }, "$ref"],
  ["a dynamic reference", { $dynamicRef: "#a" }, "$dynamicRef"],
  [
    "a circle that takes no step",
    { $defs: { a: { anyOf: [{ $ref: "#/$defs/b" }] }, b: { not: { $ref: "#/$defs/a" } } } },
    "",
  ],
  ["a circle behind a reference", { $defs: { a: { $ref: "#/$defs/a" } }, items: { $ref: "#/$defs/a" } }, ""],
  ["a pattern that is none", { pattern: "[" }, "pattern"],
  ["a pattern that looks ahead", { patternProperties: { "(?!a)": true } }, "patternProperties/(?!a)"],
  ["a pattern that refers to a group", { pattern: String.raw`(a)\1` }, "pattern"],
  ["a pattern that is too large", { pattern: "(?:a{40}){40}{40}".slice(0, 10) + "{60}" }, "pattern"],
  ["a list of names with one twice", { required: ["a", "a"] }, "required"],
  ["a bound that is no number", { minLength: "1" }, "minLength"],
  ["a type that there is not", { type: "int" }, "type"],
  ["a type given twice", { type: ["string", "string"] }, "type"],
  ["a schema that is none", { items: [true] }, "items"],
  ["a nested id", { $defs: { a: { $id: "b" } } }, "$defs/a/$id"],
] as const) {
  test(`refused when it is written: ${name}`, () => {
    const result = prepareSchema(schema);
    assert.equal(result.kind, "refused");
    assert.equal(result.faults[0]?.path.join("/"), place);
  });
}

test("as many schemas in one as may be are taken, one more is not", () => {
  const of = (count: number) => prepareSchema({ allOf: Array.from({ length: count - 1 }, () => true) }).kind;
  assert.deepEqual([of(SUBSCHEMAS_MAX), of(SUBSCHEMAS_MAX + 1)], ["prepared", "refused"]);
});

test("what would stop a matcher that goes back ends within the bound of steps", () => {
  const schema = { pattern: String.raw`^(\w+\s?)*$` };
  assert.deepEqual(faultsOf(schema, `${"a".repeat(40)}!`), [String.raw` must match the pattern ^(\w+\s?)*$`]);
  assert.deepEqual(faultsOf(schema, "a".repeat(40)), []);
});

test("a list of as many different numbers as an event holds is told apart, and one that costs too much is refused as that", () => {
  const numbers = Array.from({ length: 40_000 }, (_, index) => index);
  assert.deepEqual(faultsOf({ uniqueItems: true }, numbers), []);
  assert.deepEqual(faultsOf({ uniqueItems: true }, [...numbers, 1]), [" must have each item once"]);
  const dear: Schema = { items: { allOf: Array.from({ length: 20 }, () => ({ type: "integer" })) } };
  assert.match(faultsOf(dear, numbers).join(), TOO_MUCH);
  const text = { pattern: "(?:a?){50}b" };
  assert.match(faultsOf(text, "a".repeat(200_000)).join(), TOO_MUCH);
});

const TOO_MUCH = /^ takes more than 200000 steps/;
const listOf = <Value>(count: number, value: Value): Value[] => Array.from({ length: count }, () => value);
const named = (count: number, value: unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index.toString(36)}`, value]));
const nested = (depth: number, extra: Schema & object): Schema & object =>
  depth === 0 ? { additionalProperties: true } : { allOf: [nested(depth - 1, extra)], ...extra };

for (const [name, schema, value] of [
  ["names that others depend on", { items: { dependentRequired: named(3000, []) } }, listOf(300, {})],
  ["schemas that depend on names", { items: { dependentSchemas: named(900, true) } }, listOf(1000, {})],
  ["patterns of names", { patternProperties: named(900, true) }, named(1000, 0)],
  ["members that are passed on", { ...nested(200, {}), unevaluatedProperties: false }, named(5000, 0)],
  ["members that nobody has left", nested(200, { unevaluatedProperties: false }), named(2500, 0)],
  ["members that are counted", { allOf: listOf(900, { minProperties: 1 }) }, named(1000, 0)],
] as const) {
  test(`what goes over much without a schema that meets a value is counted as well: ${name}`, () => {
    assert.match(faultsOf(schema, value).join(), TOO_MUCH);
  });
}

test("a pattern that repeats nothing for ever is read at once, and finds what it should", () => {
  const text = `a${"(".repeat(9)}${"){2000}".repeat(9)}b`;
  assert.deepEqual([faultsOf({ pattern: text }, "ab"), faultsOf({ pattern: text }, "ba").length], [[], 1]);
});

test("a way through references that is too long is refused as too much, and does not end the process", () => {
  const $defs = Object.fromEntries(
    Array.from({ length: 900 }, (_, at) => [
      `d${at}`,
      at === 899 ? { items: { $ref: "#/$defs/d0" } } : { $ref: `#/$defs/d${at + 1}` },
    ]),
  );
  assert.match(faultsOf({ $defs, $ref: "#/$defs/d0" }, [[[[1]]]]).join(), /^ takes more than/);
});

test("no more than twenty faults are told, and none says what it found", () => {
  const found = faultsOf(
    { items: { enum: ["good"] } },
    Array.from({ length: 1000 }, () => "SECRET"),
  );
  assert.equal(found.length, DATA_FAULTS_MAX);
  assert.ok(found.every((fault) => !fault.includes("SECRET")));
});

test("names that every object has are members like any other", () => {
  const schema = JSON.parse(
    '{"properties":{"__proto__":{"type":"string"}},"required":["constructor"],"additionalProperties":false}',
  ) as Schema;
  assert.deepEqual(faultsOf(schema, JSON.parse('{"__proto__":1,"toString":2}')), [
    "constructor is required",
    "__proto__ must be of type string",
    "toString is not a member here; remove it or correct its name",
  ]);
});

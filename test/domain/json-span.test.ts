import { strict as assert } from "node:assert";
import { test } from "node:test";
import { elementSpans, JSON_DEPTH_MAX, objectSpans, scanDepth } from "@posthaste/shared/domain/json-span.ts";
import type { Span } from "@posthaste/shared/domain/json-span.ts";
import fc from "fast-check";

function cut(text: string, span: Span | undefined): string {
  assert.ok(span !== undefined);
  return text.slice(span.start, span.end);
}

/** Texts whose value would change if it were parsed and written again. */
const untouched = [
  "1e400",
  "-1E-400",
  "9007199254740993",
  "1.0",
  "-0",
  '{"b":1,"a":2,"1":3,"b":4}',
  "[ 1 ,\t2 ]",
  '"\\u0041\\/\\ud83d"',
  '"é\u2028\u{1f600}"',
  "true",
  "null",
  '""',
  "{}",
  "[]",
  '"}],{[:"',
  '"\\""',
  '"\\\\"',
  '"fifteen letters\\""',
  '"fourteen chars\\\\"',
  `"${"x".repeat(100)}\\\\\\"${"\\".repeat(40)}"`,
  '[{"a":[{"b":"]}"}]},"\\\\"]',
];

for (const value of untouched) {
  test(`objectSpans() and elementSpans() give ${value.slice(0, 40)} as it was written`, () => {
    for (const [before, behind] of [
      ["", ""],
      [" \n", "\r\t "],
    ] as const) {
      const object = `{"type":"t",${before}"data"${before}:${before}${value}${behind},"z":0}`;
      assert.equal(cut(object, objectSpans(object, 0).members.get("data")), value);
      const array = `[0,${before}${value}${behind}]`;
      assert.equal(cut(array, elementSpans(array, 0)[1]), value);
    }
  });
}

const duplicates: readonly (readonly [text: string, duplicate: string | null])[] = [
  ["{}", null],
  ['{"a":1}', null],
  ['{"a":1,"a":1}', "a"],
  ['{"a":1,"b":2,"b":3,"a":4}', "b"],
  ['{"data":1,"d\\u0061ta":2}', "data"],
  ['{"\\/":1,"/":2}', "/"],
  ['{"":1,"":2}', ""],
  ['{"__proto__":1,"__proto__":2}', "__proto__"],
  ['{"a":{"b":1},"b":{"a":1}}', null],
  ['{"a":{"b":1,"b":2}}', null],
  ['{"a":1,"A":2,"a ":3}', null],
];

for (const [text, duplicate] of duplicates) {
  test(`objectSpans() finds the first repeated key of ${text} to be ${JSON.stringify(duplicate)}`, () => {
    assert.equal(objectSpans(text, 0).duplicate, duplicate);
  });
}

test("objectSpans() keeps the last of a repeated key, as JSON.parse does", () => {
  const text = '{"a":1,"a":[2]}';
  assert.equal(cut(text, objectSpans(text, 0).members.get("a")), "[2]");
});

test("objectSpans() and elementSpans() begin where they are told, so that they can be nested", () => {
  const text = ' {"events": [ {"data":1.0} , {"data":2.0}]}';
  const events = objectSpans(text, 0).members.get("events");
  assert.ok(events !== undefined);
  const data = elementSpans(text, events.start).map(({ start }) =>
    cut(text, objectSpans(text, start).members.get("data")),
  );
  assert.deepEqual(data, ["1.0", "2.0"]);
});

for (const [name, run] of [
  ["objectSpans() of an array", () => objectSpans("[1]", 0)],
  ["objectSpans() behind the end", () => objectSpans("{}", 2)],
  ["objectSpans() of an open object", () => objectSpans('{"a":1', 0)],
  ["objectSpans() of an open string", () => objectSpans('{"a":"', 0)],
  ["objectSpans() of an open array", () => objectSpans('{"a":[[]', 0)],
  ["objectSpans() of a member without a value", () => objectSpans('{"a":}', 0)],
  ["elementSpans() of an object", () => elementSpans("{}", 0)],
  ["elementSpans() of an open array", () => elementSpans("[1,", 0)],
] as const) {
  test(`${name} is a broken invariant, not an endless loop`, () => {
    assert.throws(run, { name: "AssertionFailure" });
  });
}

const depths: readonly (readonly [text: string, depth: number])[] = [
  ["1", 0],
  ['"[[[["', 0],
  ["[]", 1],
  ["[],[],[]", 1],
  ['{"a":[{}]}', 3],
  ['["\\"[[[["]', 1],
  ['["\\\\",[["\\\\"]]]', 3],
  ["[".repeat(500) + "]".repeat(500), 500],
  ['{"a":'.repeat(JSON_DEPTH_MAX) + "1" + "}".repeat(JSON_DEPTH_MAX), JSON_DEPTH_MAX],
];

for (const [text, depth] of depths) {
  test(`scanDepth() counts ${depth} in ${text.slice(0, 30)}`, () => {
    assert.equal(scanDepth(text, depth), true);
    if (depth > 0) assert.equal(scanDepth(text, depth - 1), false);
  });
}

for (const text of ["", '"', '"\\', '"\\"', "]]]]", "}{", '{"a', "\u0000", "\ud800", '["', "\\".repeat(99)]) {
  test(`scanDepth() answers on ${JSON.stringify(text.slice(0, 20))}, which is not JSON`, () => {
    assert.equal(scanDepth(text, 1), true);
  });
}

test("scanDepth() is not deceived by closing brackets that nothing opened", () => {
  assert.equal(scanDepth("]".repeat(100) + "[".repeat(3), 2), false);
});

test("scanDepth() answers on any text at all", () => {
  const unit = fc.constantFrom(...'[]{}"\\ab,: \n\u2028'.split(""));
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
      if (scanDepth(text, 3)) return;
      assert.ok(text.split("").filter((letter) => letter === "[" || letter === "{").length > 3);
    }),
    { numRuns: 2000 },
  );
});

/**
 * A JSON text built by hand with chance white space and escapes, beside what it holds. The generator is the oracle,
 * not JSON.parse: that of Node 24 reads the key `"\""` as `\` in an object like one whose key `"\\"` it read before.
 */
interface Written {
  readonly text: string;
  readonly depth: number;
  /** Of an object: each decoded key with the text of its last value. */
  readonly members?: ReadonlyMap<string, string>;
}

const space = fc.string({ unit: fc.constantFrom(" ", "\n", "\r", "\t"), maxLength: 2 });
const anyString = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...'\\"[]{},:a'.split("")), maxLength: 40 }),
);
const writtenString = fc
  .tuple(anyString, fc.boolean())
  .map(([value, isEscaped]) => ({ value, text: isEscaped ? escapeAll(value) : JSON.stringify(value) }));
const scalar = fc
  .oneof(
    writtenString.map(({ text }) => text),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.constantFrom("null", "true", "1e400"),
  )
  .map((text): Written => ({ text, depth: 0 }));
const { value: written } = fc.letrec<{ value: Written }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    scalar,
    fc.array(fc.tuple(space, tie("value"), space), { maxLength: 4 }).map((items): Written => join("[", items, "]")),
    fc
      .array(fc.tuple(space, writtenString, space, space, tie("value"), space), { maxLength: 4 })
      .map((items): Written => {
        const members = items.map(
          ([a, key, b, c, { text, depth }, d]) => [a, { text: `${key.text}${b}:${c}${text}`, depth }, d] as const,
        );
        return {
          ...join("{", members, "}"),
          members: new Map(items.map(([, key, , , { text }]) => [key.value, text])),
        };
      }),
  ),
}));

function join(open: string, items: readonly (readonly [string, Written, string])[], close: string): Written {
  const depth = 1 + Math.max(0, ...items.map(([, item]) => item.depth));
  return { text: open + items.map(([a, { text }, b]) => a + text + b).join(",") + close, depth };
}

function escapeAll(value: string): string {
  const units = Array.from({ length: value.length }, (_, at) => value.charCodeAt(at).toString(16).padStart(4, "0"));
  return `"${units.map((unit) => `\\u${unit}`).join("")}"`;
}

test("objectSpans() finds the members of any object", () => {
  fc.assert(
    fc.property(space, written, space, (before, { text: inner, members: expected }, behind) => {
      fc.pre(expected !== undefined);
      const text = before + inner + behind;
      const { members, duplicate } = objectSpans(text, 0);
      assert.deepEqual(new Map([...members].map(([key, span]) => [key, cut(text, span)])), expected);
      if (duplicate !== null) assert.ok(members.has(duplicate));
    }),
    { numRuns: 2000 },
  );
});

test("elementSpans() finds the elements of any array", () => {
  fc.assert(
    fc.property(space, fc.array(fc.tuple(space, written, space), { maxLength: 6 }), (before, items) => {
      const text = before + join("[", items, "]").text;
      assert.deepEqual(
        elementSpans(text, 0).map((span) => cut(text, span)),
        items.map(([, item]) => item.text),
      );
    }),
    { numRuns: 1000 },
  );
});

test("what the generator writes is JSON", () => {
  fc.assert(fc.property(written, ({ text }) => void JSON.parse(text)));
});

test("objectSpans() reports a repeated key exactly when there are more members than distinct keys", () => {
  const key = fc.constantFrom('"a"', '"\\u0061"', '"b"', '"c"', '"\\n"', '"\\u000a"', '"\\u000A"');
  fc.assert(
    fc.property(fc.array(key, { maxLength: 5 }), (keys) => {
      const decoded = keys.map((text) => JSON.parse(text) as string);
      const first = decoded.find((name, at) => decoded.indexOf(name) < at) ?? null;
      assert.equal(objectSpans(`{${keys.map((text) => `${text}:0`).join()}}`, 0).duplicate, first);
    }),
  );
});

test("scanDepth() finds the exact depth of any JSON text", () => {
  fc.assert(
    fc.property(written, ({ text, depth }) => {
      assert.equal(scanDepth(text, depth), true);
      if (depth > 0) assert.equal(scanDepth(text, depth - 1), false);
    }),
    { numRuns: 1000 },
  );
});

test("a megabyte of backslashes, quotes or open brackets is read in one pass", () => {
  const size = 2 ** 20;
  // Were the reading quadratic, each of these would take hours and the runner's own time limit would end it.
  const inners = ["\\\\".repeat(size / 2), '\\"'.repeat(size / 2), '\\\\\\"'.repeat(size / 4)];
  for (const inner of inners) {
    const text = `{"data":"${inner}"}`;
    assert.equal(scanDepth(text, 1), true);
    assert.equal(scanDepth(text.slice(0, -2), 1), true);
    assert.equal(cut(text, objectSpans(text, 0).members.get("data")).length, inner.length + 2);
  }
  assert.equal(scanDepth("[".repeat(size), size), true);
  assert.equal(scanDepth('"'.repeat(size), 0), true);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shellOf } from "@posthaste/shared/domain/json-shell.ts";
import { elementSpans, objectSpans } from "@posthaste/shared/domain/json-span.ts";

/** Text that looks much like JSON, and often is none. */
const almostJson = fc
  .array(fc.constantFrom("{", "}", "[", "]", ",", ":", '"', '"a"', "1", " ", "\\", '\\"', "null", "\n"), {
    maxLength: 24,
  })
  .map((parts) => parts.join(""));
/** Two lists and what may stand around them, with white space. */
const batch = fc
  .tuple(
    fc.array(fc.json(), { maxLength: 5 }),
    fc.json(),
    fc.array(fc.json(), { maxLength: 3 }),
    fc.constantFrom("", " ", "\r\n\t"),
  )
  .map(([items, other, more, space]) =>
    [`{"events":[${items.join(`${space},${space}`)}]`, `"x":${other}`, `"more":[${space}${more.join(",")}]}`].join(
      `${space},`,
    ),
  );

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("the items of a batch are those that a parser of the whole finds", () => {
  fc.assert(
    fc.property(batch, (text) => {
      const parted = shellOf(text) ?? assert.fail("it is whole");
      const whole = objectSpans(text, 0).members;
      for (const [name, span] of objectSpans(parted.shell, 0).members) {
        const place = whole.get(name) ?? assert.fail(name);
        const expected = text[place.start] === "[" ? elementSpans(text, place.start) : undefined;
        assert.deepEqual(parted.items.get(span.start), expected);
      }
    }),
  );
});

test("a text is JSON just when its shell and each of its items are", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        almostJson,
        almostJson.map((inner) => `{"a":[${inner}]}`),
        batch,
      ),
      (text) => {
        const parted = shellOf(text);
        const parts = parted === null ? [] : [...parted.items.values()].flat();
        const isWhole =
          parted !== null && isJson(parted.shell) && parts.every(({ start, end }) => isJson(text.slice(start, end)));
        assert.equal(isWhole, isJson(text));
      },
    ),
    { numRuns: 2000 },
  );
});

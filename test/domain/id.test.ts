import { strict as assert } from "node:assert";
import { test } from "node:test";
import { BASE32_ALPHABET, encodeBase32, encodeBase32Number } from "@posthaste/shared/domain/base32.ts";
import { derivedId, EVENT_ID_LENGTH_MAX, isEventId, isId, newId } from "@posthaste/shared/domain/id.ts";
import type { IdPrefix } from "@posthaste/shared/domain/id.ts";
import fc from "fast-check";
import { seededEntropy, testHasher } from "../support/ambient.ts";

const prefixes: readonly IdPrefix[] = ["evt", "ep", "dlv", "grp", "key"];
const TIME_MS_MAX = 2 ** 48 - 1;
const anyTimeMs = fc.oneof(fc.nat({ max: TIME_MS_MAX }), fc.constantFrom(0, 1, 31, 32, 1_700_000_000_000, TIME_MS_MAX));

for (const prefix of prefixes) {
  test(`newId() and derivedId() give ${prefix}_ and 26 letters that isId() knows, for that prefix alone`, () => {
    fc.assert(
      fc.property(anyTimeMs, fc.integer(), fc.string(), (atMs, seed, content) => {
        for (const id of [newId(prefix, atMs, seededEntropy(seed)), derivedId(prefix, atMs, testHasher, content)]) {
          assert.equal(id.length, prefix.length + 27);
          assert.deepEqual(
            prefixes.filter((other) => isId(other, id)),
            [prefix],
          );
          assert.ok(isEventId(id));
        }
      }),
    );
  });
}

test("ids of one prefix sort by time, whatever their random parts", () => {
  fc.assert(
    fc.property(anyTimeMs, anyTimeMs, fc.integer(), (leftMs, rightMs, seed) => {
      fc.pre(leftMs !== rightMs);
      const entropy = seededEntropy(seed);
      const left = newId("evt", leftMs, entropy);
      const right = newId("evt", rightMs, entropy);
      assert.equal(left < right, leftMs < rightMs);
    }),
    { numRuns: 1000 },
  );
});

test("newId() lays out time and chance as a ULID does", () => {
  // The example time of the ULID specification: 01ARYZ6S41.
  const id = newId("evt", 1_469_918_176_385, {
    bytes: () => Uint8Array.of(0, 1, 2, 3, 4, 255, 254, 253, 252, 251),
    fraction: () => 0,
  });
  assert.equal(id, "evt_01aryz6s41000g40r4zzzfvz7v");
});

test("newId() draws ten bytes, once", () => {
  const draws: number[] = [];
  const bytes = (count: number): Uint8Array<ArrayBuffer> => {
    draws.push(count);
    return new Uint8Array(count);
  };
  assert.equal(newId("key", TIME_MS_MAX, { bytes, fraction: () => 0 }), "key_7zzzzzzzzz0000000000000000");
  assert.deepEqual(draws, [10]);
});

test("100,000 ids of one millisecond are all different", () => {
  const entropy = seededEntropy(7);
  assert.equal(new Set(Array.from({ length: 100_000 }, () => newId("evt", 5, entropy))).size, 100_000);
});

for (const bad of [-1, 0.5, Number.NaN, 2 ** 48, Number.POSITIVE_INFINITY]) {
  test(`newId() takes ${bad} ms for a broken invariant`, () => {
    assert.throws(() => newId("evt", bad, seededEntropy(1)), { name: "AssertionFailure" });
  });
}

test("derivedId() is the same for the same time and content and ends in the first 80 bits of SHA-256", () => {
  // SHA-256 of "abc" begins ba7816bf 8f01cfea 4141 (FIPS 180-4 examples).
  const tail = encodeBase32(Uint8Array.of(0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41));
  assert.equal(derivedId("dlv", 0, testHasher, "abc"), `dlv_0000000000${tail}`);
  assert.equal(derivedId("dlv", 9, testHasher, "évt|ep"), derivedId("dlv", 9, testHasher, "évt|ep"));
});

test("derivedId() differs when time, content or prefix differ", () => {
  const ids = [
    derivedId("dlv", 1, testHasher, "a"),
    derivedId("dlv", 2, testHasher, "a"),
    derivedId("dlv", 1, testHasher, "b"),
    derivedId("grp", 1, testHasher, "a"),
  ];
  assert.equal(new Set(ids).size, ids.length);
});

const noIds = [
  "",
  "evt",
  "evt_",
  "evt_01aryz6s41000g40r4zzyztzq",
  "evt_01aryz6s41000g40r4zzzfvz7vv",
  "evt-01aryz6s41000g40r4zzyztzqv",
  "evt01aryz6s41000g40r4zzyztzqvv",
  "EVT_01aryz6s41000g40r4zzyztzqv",
  "evt_01ARYZ6S41000G40R4ZZYZTZQV",
  "evt_81aryz6s41000g40r4zzyztzqv",
  "evt_01aryz6s41000g40r4zzyztzqi",
  "evt_01aryz6s41000g40r4zzyztzql",
  "evt_01aryz6s41000g40r4zzyztzqo",
  "evt_01aryz6s41000g40r4zzyztzqu",
  " evt_01aryz6s41000g40r4zzzfvz7v",
  "evt_01aryz6s41000g40r4zzzfvz7v\n",
  "evt_01aryz6s41000g40r4zzyztz\u0000v",
  "ep_01aryz6s41000g40r4zzyztzqv",
  "x".repeat(100_000),
];

for (const text of noIds) {
  test(`isId() refuses ${JSON.stringify(text.slice(0, 40))} as an event id of ours`, () => {
    assert.equal(isId("evt", text), false);
  });
}

for (const text of ["a", "-", "_", "0", "Order_42-x", "a".repeat(EVENT_ID_LENGTH_MAX)]) {
  test(`isEventId() lets a publisher choose ${text.slice(0, 20)}`, () => {
    assert.equal(isEventId(text), true);
  });
}

for (const text of [
  "",
  "a.b",
  "a b",
  "a\n",
  "\na",
  "a:b",
  "{a}",
  "a/b",
  "é",
  "a\u0000",
  "a".repeat(EVENT_ID_LENGTH_MAX + 1),
]) {
  test(`isEventId() refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
    assert.equal(isEventId(text), false);
  });
}

test("the base32 alphabet rises, so that text order is number order", () => {
  assert.equal(BASE32_ALPHABET.split("").toSorted().join(""), BASE32_ALPHABET);
  assert.equal(new Set(BASE32_ALPHABET).size, 32);
});

test("encodeBase32Number() writes what base 32 means", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const text = encodeBase32Number(value, 11);
      const back = text.split("").reduce((sum, letter) => sum * 32 + BASE32_ALPHABET.indexOf(letter), 0);
      assert.equal(back, value);
      assert.equal(text.length, 11);
    }),
  );
});

test("encodeBase32Number() takes a number that does not fit for a broken invariant", () => {
  assert.equal(encodeBase32Number(1023, 2), "zz");
  for (const value of [1024, -1, 0.5, 2 ** 53]) {
    assert.throws(() => encodeBase32Number(value, 2), { name: "AssertionFailure" });
  }
});

test("encodeBase32() keeps every bit of any bytes, in order", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
      const letters = encodeBase32(bytes)
        .split("")
        .map((letter) => BASE32_ALPHABET.indexOf(letter).toString(2).padStart(5, "0"))
        .join("");
      assert.equal(letters, bits.padEnd(Math.ceil(bits.length / 5) * 5, "0"));
    }),
  );
});

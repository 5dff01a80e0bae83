import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import {
  hashApiKey,
  isPresentableKey,
  keyHint,
  keyStatus,
  NewApiKey,
  newApiKeySecret,
} from "@posthaste/shared/domain/api-key.ts";
import fc from "fast-check";
import * as v from "valibot";
import { seededEntropy, testHasher } from "../support/ambient.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const key: ApiKey = {
  id: "key_1",
  hash: "00",
  hint: "phk_0123…",
  name: "orders",
  tenant: "acme",
  scopes: ["publish"],
  rateLimit: null,
  createdAtMs: NOW_MS,
  expiresAtMs: null,
  revokedAtMs: null,
};

test("a new key is phk_ and forty letters, presentable, and unlike the one before", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const entropy = seededEntropy(seed);
      const [one, two] = [newApiKeySecret(entropy), newApiKeySecret(entropy)];
      assert.match(one, /^phk_[0-9a-hjkmnp-tv-z]{40}$/);
      assert.ok(isPresentableKey(one));
      assert.notEqual(one, two);
    }),
  );
});

test("a key is stored as the lower-case hex of its SHA-256", () => {
  // FIPS 180-4, example "abc".
  assert.equal(hashApiKey("abc", testHasher), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("a hint shows the first characters of a key and none of the rest", () => {
  assert.equal(keyHint("phk_0123456789abcdef0123456789abcdef01234567"), "phk_0123…");
});

const presented: readonly (readonly [what: string, text: string, isTaken: boolean])[] = [
  ["of 24 characters", "k".repeat(24), true],
  ["of 128 characters", "k".repeat(128), true],
  ["of 23 characters", "k".repeat(23), false],
  ["of 129 characters", "k".repeat(129), false],
  ["with a blank", `${"k".repeat(24)} `, false],
  ["with a line feed at its end", `${"k".repeat(24)}\n`, false],
  ["with a letter beyond ASCII", `${"k".repeat(24)}é`, false],
  ["that is empty", "", false],
];

for (const [what, text, isTaken] of presented) {
  test(`a key ${what} is ${isTaken ? "looked up" : "refused before it is hashed"}`, () => {
    assert.equal(isPresentableKey(text), isTaken);
  });
}

const statuses: readonly (readonly [what: string, parts: Partial<ApiKey>, status: string])[] = [
  ["without an end is usable", {}, "usable"],
  ["before its end is usable", { expiresAtMs: NOW_MS + 1 }, "usable"],
  ["at its end is expired", { expiresAtMs: NOW_MS }, "expired"],
  ["after its end is expired", { expiresAtMs: NOW_MS - 1 }, "expired"],
  ["that was revoked is revoked", { revokedAtMs: NOW_MS }, "revoked"],
  ["that was revoked and has expired is revoked", { revokedAtMs: NOW_MS, expiresAtMs: NOW_MS - 1 }, "revoked"],
];

for (const [what, parts, status] of statuses) {
  test(`a key ${what}`, () => assert.equal(keyStatus({ ...key, ...parts }, NOW_MS), status));
}

test("a name alone makes a key of every scope", () => {
  assert.deepEqual(v.parse(NewApiKey, { name: "orders" }), { name: "orders", scopes: ["publish", "manage", "read"] });
});

const refused: readonly (readonly [what: string, input: unknown])[] = [
  ["no name", {}],
  ["an empty name", { name: "" }],
  ["a name of 101 characters", { name: "x".repeat(101) }],
  ["no scopes", { name: "a", scopes: [] }],
  ["a scope that is none", { name: "a", scopes: ["admin"] }],
  ["a tenant with a slash", { name: "a", tenant: "a/b" }],
  ["a rate limit of 0", { name: "a", rate_limit: { limit: 0, window_ms: 1000 } }],
  ["an end that is no time", { name: "a", expires_at: "never" }],
  ["a member that is not known", { name: "a", scope: ["read"] }],
];

for (const [what, input] of refused) {
  test(`a new key with ${what} is refused`, () => assert.equal(v.is(NewApiKey, input), false));
}

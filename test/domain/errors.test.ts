import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { ERRORS, PosthasteError, problemType, reasonOf } from "@posthaste/shared/domain/errors.ts";

const codes = Object.keys(ERRORS) as ErrorCode[];

for (const code of codes) {
  test(`${code} has a kebab-case code, an error status, a title without its full stop and a type`, () => {
    const { status, title } = ERRORS[code];
    assert.match(code, /^[a-z0-9]+(?:-[a-z0-9]+)*$/);
    assert.ok(Number.isInteger(status) && status >= 400 && status <= 599);
    assert.match(title, /^[A-Z].*[^.]$/);
    assert.ok(URL.canParse(problemType(code)));
  });
}

test("titles tell the codes apart", () => {
  assert.equal(new Set(codes.map((code) => ERRORS[code].title)).size, codes.length);
});

test("problem types are those of the registry where one fits, else names of ours", () => {
  assert.equal(problemType("rate-limited"), "https://iana.org/assignments/http-problem-types#quota-exceeded");
  assert.equal(problemType("overloaded"), "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
  assert.equal(problemType("not-found"), "urn:posthaste:problem:not-found");
});

test("just 429 and 503 are worth the same call again", () => {
  const retriable = codes.filter((code) => new PosthasteError(code, "It is so.").retriable);
  assert.deepEqual(retriable, ["rate-limited", "share-reached", "overloaded", "store-unavailable", "stopping"]);
});

test("a sentence alone is the detail, and the message too", () => {
  const error = new PosthasteError("gone", "The body is no longer kept.");
  assert.deepEqual(error.details, { detail: "The body is no longer kept." });
  assert.deepEqual([error.message, error.name, error.code], ["The body is no longer kept.", "PosthasteError", "gone"]);
  assert.ok(!("cause" in error));
});

test("details and cause are kept as they were given", () => {
  const cause = new Error("disk full");
  const details = { detail: "The store is full.", retryAfterS: 60, errors: [{ detail: "x", pointer: "#/data" }] };
  const error = new PosthasteError("store-unavailable", details, cause);
  assert.deepEqual([error.details, error.cause], [details, cause]);
});

test("a reason with its causes is one sentence: no full stop before a colon, none twice", () => {
  const reset = new Error("read ECONNRESET");
  const lost = new PosthasteError("store-unavailable", "The connection to Redis failed.", reset);
  assert.equal(reasonOf(lost), "The connection to Redis failed: read ECONNRESET");
  assert.equal(
    reasonOf(new Error("It could not be read. \n", { cause: lost })),
    `It could not be read: ${reasonOf(lost)}`,
  );
  assert.equal(reasonOf(new Error("Try again.")), "Try again.");
});

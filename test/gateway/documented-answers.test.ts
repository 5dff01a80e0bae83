/** The check of answers against the description bites: each of these is what a route might do that nobody described. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertDocumented } from "../support/documented-answers.ts";

const ACCEPTED = { id: "evt_01m85460eg2gx2nzxsx6h17r3c", lane: "high", status_url: "/v1/events/evt_1" };
const PROBLEM = { type: "urn:x", title: "Not found", status: 404, detail: "Nothing.", code: "not-found" };
const json = { "content-type": "application/json" };
const problem = { "content-type": "application/problem+json" };

function answered(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = json,
  path = "/v1/events",
): void {
  const text = body === null ? "" : JSON.stringify(body);
  assertDocumented({ method: "POST", path }, { status, headers: new Headers(headers), text });
}

test("an answer as described is taken", () => {
  answered(202, ACCEPTED);
  answered(202, ACCEPTED, { ...json, ratelimit: '"default";r=1;t=1', "idempotent-replayed": "true" });
  answered(404, PROBLEM, problem, "/v1/unheard-of");
  answered(404, PROBLEM, problem, "/v1/events/evt_1/resend");
});

test("a status, a field, a member, a code, a type and a body that nobody described are each refused", () => {
  const { lane: _lane, ...less } = ACCEPTED;
  const wrong: readonly (readonly [RegExp, () => void])[] = [
    [/has no 201/, () => answered(201, ACCEPTED)],
    [/has no 404/, () => answered(404, PROBLEM, problem)],
    [/has no field x-new/, () => answered(202, ACCEPTED, { ...json, "x-new": "1" })],
    [/must NOT have additional properties/, () => answered(202, { ...ACCEPTED, more: 1 })],
    [/must have required property 'lane'/, () => answered(202, less)],
    [/must be equal to one of the allowed values/, () => answered(202, { ...ACCEPTED, lane: "quick" })],
    [
      /must be equal to one of the allowed values/,
      () => answered(404, { ...PROBLEM, code: "gone" }, problem, "/v1/events/a/resend"),
    ],
    [/must NOT have additional properties/, () => answered(404, { ...PROBLEM, stack: "" }, problem, "/v1/unheard-of")],
    [/has no text\/plain/, () => answered(202, ACCEPTED, { "content-type": "text/plain" })],
    [
      /has no body/,
      () =>
        assertDocumented(
          { method: "DELETE", path: "/v1/endpoints/ep_1" },
          { status: 204, headers: new Headers(), text: "{}" },
        ),
    ],
  ];
  for (const [words, answer] of wrong) assert.throws(answer, words);
});

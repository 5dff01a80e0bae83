/** Bodies that would be costly to read are refused before they are, and those that are read let others in between. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, at, openGatewayHarness } from "../support/gateway-harness.ts";

const many = (item: unknown, count: number): unknown[] => Array.from({ length: count }, () => item);
const headers = Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`x-${index}`, 1]));
const url = "https://example.com/hooks";

for (const [name, path, body, detail] of [
  ["101 event types", "/v1/endpoints", { url, event_types: many(1, 101) }, "must name at most 100 event types"],
  ["51 waits", "/v1/endpoints", { url, retry: { delays_s: many(-1, 51) } }, "must name at most 50 waits"],
  ["41 headers", "/v1/endpoints", { url, headers }, "must have at most 20 headers"],
  ["17 scopes", "/v1/api-keys", { name: "a", scopes: many("x", 17) }, "must name at most 16 scopes"],
  ["a long type", "/v1/events", { type: "a..".repeat(60), data: 1 }, "must have at most 128 characters"],
] as const) {
  test(`422 for ${name} says so once, and not what is wrong with each`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", path, { body });
    assertProblem(answer, 422, "validation-failed");
    assert.equal(at(answer.json, "errors.0.detail"), detail);
    assert.equal(at(answer.json, "errors.1"), undefined);
  });
}

test("422 for 41 changes of headers", async () => {
  await using harness = await openGatewayHarness();
  const made = await harness.call("POST", "/v1/endpoints", { body: { url } });
  const path = `/v1/endpoints/${String(at(made.json, "id"))}`;
  const answer = await harness.call("PATCH", path, { body: { headers } });
  assertProblem(answer, 422, "validation-failed");
  assert.equal(at(answer.json, "errors.0.detail"), "must have at most 40 changes");
});

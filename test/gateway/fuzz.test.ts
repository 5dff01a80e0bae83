/** Whatever is sent, wherever: no 5xx, no crash in the log, and every refusal a problem. Seeds are printed on failure. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { Answer, GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { ERRORS } from "@posthaste/shared/domain/errors.ts";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";

const RUNS = 150;
const posts = [
  "/v1/events",
  "/v1/events/batch",
  "/v1/endpoints",
  "/v1/endpoints/:ep/rotate-secret",
  "/v1/endpoints/:ep/test",
  "/v1/endpoints/:ep/replay",
  "/v1/dead-letters/replay",
  "/v1/dead-letters/:dlv/replay",
  "/v1/api-keys",
] as const;
const gets = [
  "/v1/events",
  "/v1/events/:evt",
  "/v1/endpoints",
  "/v1/endpoints/:ep",
  "/v1/endpoints/:ep/attempts",
  "/v1/endpoints/:ep/stats",
  "/v1/dead-letters",
  "/v1/dead-letters/:dlv",
  "/v1/api-keys",
] as const;

/** A gateway that owns one of each thing, and paths to them. */
async function openPopulated(): Promise<{ harness: GatewayHarness; path: (template: string) => string }> {
  const harness = await openGatewayHarness();
  const endpoint = textAt(
    (await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } })).json,
    "id",
  );
  const event = textAt((await harness.call("POST", "/v1/events", { body: { type: "a", data: 1 } })).json, "id");
  const deadLetter = await harness.addDeadLetter({ endpointId: endpoint });
  return {
    harness,
    path: (template) => template.replace(":ep", endpoint).replace(":evt", event).replace(":dlv", deadLetter.id),
  };
}

function assertCivil(harness: GatewayHarness, answer: Answer): void {
  assert.ok(answer.status < 500, answer.text);
  assert.deepEqual(
    harness.logged.filter(({ event }) => event === "request.crashed"),
    [],
  );
  if (answer.status < 400) return;
  const code = textAt(answer.json, "code");
  assert.ok(Object.hasOwn(ERRORS, code), code);
  assertProblem(answer, answer.status, code as ErrorCode);
}

const anyBytes = fc.uint8Array({ maxLength: 600 });
const anyText = fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.string({ maxLength: 200 }), fc.json());

for (const template of posts) {
  test(`no bytes make ${template} fail`, async () => {
    const { harness, path } = await openPopulated();
    await using _ = harness;
    const body = fc.oneof(anyBytes, fc.json());
    await fc.assert(
      fc.asyncProperty(body, async (sent) =>
        assertCivil(harness, await harness.call("POST", path(template), { body: sent })),
      ),
      { numRuns: RUNS },
    );
  });
}

/** Objects with the fields each route knows, and anything for their values. */
const known: Readonly<Record<string, readonly string[]>> = {
  "/v1/events": ["type", "data", "priority", "id", "tenant", "timestamp", "deliver_at"],
  "/v1/events/batch": ["events"],
  "/v1/endpoints": [
    "url",
    "event_types",
    "tenant",
    "description",
    "headers",
    "secret",
    "retry",
    "rate_limit",
    "batch",
    "paused",
  ],
  "/v1/endpoints/:ep": [
    "url",
    "event_types",
    "description",
    "headers",
    "retry",
    "rate_limit",
    "batch",
    "paused",
    "disabled",
  ],
  "/v1/endpoints/:ep/rotate-secret": ["secret"],
  "/v1/endpoints/:ep/replay": ["since", "until", "status", "dry_run", "rate_per_s"],
  "/v1/dead-letters/replay": [
    "tenant",
    "endpoint_id",
    "event_id",
    "type",
    "state",
    "since",
    "until",
    "dry_run",
    "rate_per_s",
  ],
  "/v1/api-keys": ["name", "tenant", "scopes", "rate_limit", "expires_at"],
};
const nearlyRight = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(
    "a.b",
    "default",
    "operator",
    "*",
    "https://a.example/",
    "http://[::1]:99999/",
    "2026-02-01T00:00:00Z",
    "9999-12-31T23:59:59+23:59",
    "0000-01-01T00:00:00Z",
    1e308,
    -0,
    2 ** 53,
    ["a.*"],
    ["publish"],
    [{}],
    [{ type: "a", data: null }],
    { limit: 1, window_ms: 1 },
    { delays_s: [0] },
    { max_events: 1, max_wait_ms: 0 },
    true,
    null,
    "delivered",
    "dead",
  ),
);
for (const [template, fields] of Object.entries(known)) {
  test(`no values of its fields make ${template} fail`, async () => {
    const { harness, path } = await openPopulated();
    await using _ = harness;
    const body = fc.dictionary(fc.constantFrom(...fields), nearlyRight, { maxKeys: 6 });
    const method = template.endsWith(":ep") ? "PATCH" : "POST";
    await fc.assert(
      fc.asyncProperty(body, async (sent) =>
        assertCivil(harness, await harness.call(method, path(template), { body: sent })),
      ),
      { numRuns: RUNS },
    );
  });
}

for (const template of gets) {
  test(`no query makes ${template} fail`, async () => {
    const { harness, path } = await openPopulated();
    await using _ = harness;
    const name = fc.oneof(
      fc.constantFrom("limit", "cursor", "since", "until", "type", "tenant", "include", "state", "event_id"),
      anyText,
    );
    const value = fc.oneof(anyText, fc.constantFrom("1", "*", "2026-01-01T00:00:00Z", "data", "a"));
    const query = fc.array(fc.tuple(name, value), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(query, async (pairs) => {
        const text = pairs
          .map(
            ([key, given]) => `${encodeURIComponent(key.toWellFormed())}=${encodeURIComponent(given.toWellFormed())}`,
          )
          .join("&");
        assertCivil(harness, await harness.call("GET", `${path(template)}?${text}`));
      }),
      { numRuns: RUNS },
    );
  });
}

test("no path makes the gateway fail", async () => {
  const { harness } = await openPopulated();
  await using _ = harness;
  const segment = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.constantFrom("v1", "events", "endpoints", "%", "%00", "..", "%ff"),
  );
  const method = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY");
  await fc.assert(
    fc.asyncProperty(method, fc.array(segment, { maxLength: 6 }), async (verb, segments) => {
      const path = `/${segments.map((part) => (part.startsWith("%") ? part : encodeURIComponent(part.toWellFormed()))).join("/")}`;
      assertCivil(harness, await harness.call(verb, path));
    }),
    { numRuns: RUNS * 2 },
  );
});

test("no header value makes a publish fail", async () => {
  const { harness } = await openPopulated();
  await using _ = harness;
  const name = fc.constantFrom(
    "content-type",
    "content-length",
    "idempotency-key",
    "traceparent",
    "x-api-key",
    "authorization",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-specversion",
    "ce-time",
    "ce-tenant",
    "ce-deliverat",
    "ce-__proto__",
  );
  const value = fc.oneof(
    fc.string({ unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 40 }),
    fc.constantFrom("1.0", "application/cloudevents+json", "2026-01-01T00:00:00Z", "%41", "0", "18"),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 5 }), async (headers) => {
      assertCivil(harness, await harness.call("POST", "/v1/events", { body: '{"type":"a","data":1}', headers }));
    }),
    { numRuns: RUNS * 2 },
  );
});

test("whatever JSON data is published comes back as the very same text", async () => {
  await using harness = await openGatewayHarness();
  await fc.assert(
    fc.asyncProperty(fc.json({ maxDepth: 6 }), async (data) => {
      const answer = await harness.call("POST", "/v1/events", { body: ` { "data" : ${data} , "type":"a"}\n` });
      assert.equal(answer.status, 202, answer.text);
      const shown = await harness.call("GET", `/v1/events/${textAt(answer.json, "id")}?include=data`);
      assert.ok(shown.text.endsWith(`,"data":${data}}`), shown.text);
      assert.equal(at(shown.json, "state"), "pending");
    }),
    { numRuns: RUNS },
  );
});

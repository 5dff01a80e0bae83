import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint, EndpointSecret } from "@posthaste/shared/domain/endpoint.ts";
import { EndpointUrl } from "@posthaste/shared/domain/endpoint-url.ts";
import {
  activeSecrets,
  EndpointPatch,
  matches,
  NewEndpoint,
  rotateSecrets,
  SECRET_OVERLAP_MS,
  SECRETS_MAX,
  Subscription,
  SUBSCRIPTIONS_MAX,
} from "@posthaste/shared/domain/endpoint.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import { newSecret } from "@posthaste/shared/domain/signature.ts";
import fc from "fast-check";
import * as v from "valibot";
import { ExtraHeaders, HEADERS_MAX } from "@posthaste/shared/domain/endpoint-headers.ts";
import { seededEntropy } from "../support/ambient.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const URL_TEXT = "https://example.com/hooks";

/** Null when it is taken, else the first complaint. */
function complaint(schema: v.GenericSchema, input: unknown): string | null {
  const parsed = v.safeParse(schema, input);
  return parsed.success ? null : parsed.issues[0].message;
}

const rules: readonly (readonly [rule: string, type: string, isTaken: boolean])[] = [
  ["*", "order", true],
  ["*", "order.paid.late", true],
  ["order", "order", true],
  ["order", "order.paid", false],
  ["order", "Order", false],
  ["order.paid", "order.paid", true],
  ["order.paid", "order.paid.late", false],
  ["order.paid", "order", false],
  ["order.*", "order.paid", true],
  ["order.*", "order.paid.late", true],
  ["order.*", "order", false],
  ["order.*", "orders.x", false],
  ["order.*", "reorder.paid", false],
  ["order.paid.*", "order.paid.late", true],
  ["order.paid.*", "order.paid", false],
  ["order.paid.*", "order.paidlate", false],
];

for (const [rule, type, isTaken] of rules) {
  test(`the subscription ${rule} ${isTaken ? "takes" : "does not take"} ${type}`, () => {
    assert.equal(takes([rule], type), isTaken);
    assert.equal(takes(["invoice.x", rule], type), isTaken);
  });
}

/** An endpoint of the tenant with these subscriptions. */
function takes(eventTypes: readonly string[], type: string, tenant = "acme"): boolean {
  return matches({ eventTypes, tenant }, type);
}

test("our own events are for those who name them, and in the operator's tenant for *", () => {
  const type = "posthaste.endpoint.failing";
  for (const rule of ["posthaste.*", "posthaste.endpoint.*", type]) assert.equal(takes([rule], type), true, rule);
  assert.equal(takes(["*"], type), false);
  assert.equal(takes(["*"], type, OPERATOR_TENANT), true);
});

const secretTexts = (secrets: readonly EndpointSecret[]) => secrets.map(({ secret }) => secret);

test("no subscriptions take nothing", () => assert.equal(takes([], "order"), false));

test("a prefix rule takes just the types that begin with its segments and have more", () => {
  const anySegments = fc.array(fc.constantFrom("a", "ab", "b"), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(anySegments, anySegments, (prefix, type) => {
      const isTaken = type.length > prefix.length && prefix.every((segment, index) => type[index] === segment);
      assert.equal(takes([`${prefix.join(".")}.*`], type.join(".")), isTaken);
    }),
    { numRuns: 500 },
  );
});

const subscriptions: readonly (readonly [text: string, isTaken: boolean])[] = [
  ["*", true],
  ["order", true],
  ["order.*", true],
  ["order.paid.*", true],
  [".*", false],
  ["*.*", false],
  ["*.paid", false],
  ["order.*.late", false],
  ["order*", false],
  ["order.", false],
  ["**", false],
  ["", false],
];

for (const [text, isTaken] of subscriptions) {
  test(`the subscription ${JSON.stringify(text)} is ${isTaken ? "taken" : "refused"}`, () => {
    assert.equal(v.is(Subscription, text), isTaken);
  });
}

const urls: readonly (readonly [text: string, refusal: RegExp | null])[] = [
  ["https://example.com", null],
  ["http://example.com:8080/a?b=c", null],
  ["HTTPS://EXAMPLE.com/Hooks", null],
  ["https://user@example.com/", /user name or password/],
  ["https://user:secret@example.com/", /user name or password/],
  ["https://:secret@example.com/", /user name or password/],
  ["https://example.com/#part", /fragment/],
  ["https://example.com/#", /fragment/],
  ["ftp://example.com/", /https:\/\/ or http:/],
  ["file:///etc/passwd", /https:\/\/ or http:/],
  ["javascript:alert(1)", /https:\/\/ or http:/],
  ["example.com/hooks", /absolute URL/],
  ["/hooks", /absolute URL/],
  ["//example.com", /absolute URL/],
  ["https://", /absolute URL/],
  ["https://exa mple.com", /absolute URL/],
  ["", /absolute URL/],
  [`https://example.com/${"x".repeat(2028)}`, null],
  [`https://example.com/${"x".repeat(2029)}`, /at most 2048 characters/],
  [`https://example.com/${"ü".repeat(1000)}`, /at most 2048 characters/],
];

for (const [text, refusal] of urls) {
  test(`the URL ${JSON.stringify(text.slice(0, 40))} of ${text.length} characters is ${refusal === null ? "taken" : "refused"}`, () => {
    const message = complaint(EndpointUrl, text);
    if (refusal === null) assert.equal(message, null);
    else assert.match(message ?? "", refusal);
  });
}

test("a URL is kept in its normal form", () => {
  assert.equal(v.parse(EndpointUrl, "HTTPS://Example.COM:443/a/../b"), "https://example.com/b");
});

const forbiddenNames = [
  "Host",
  "content-length",
  "Content-Type",
  "Connection",
  "Keep-Alive",
  "Transfer-Encoding",
  "TE",
  "Trailer",
  "Upgrade",
  "Expect",
  "Proxy-Authorization",
  "webhook-id",
  "Webhook-Signature",
  "posthaste-attempt",
  "Traceparent",
  "tracestate",
  "User-Agent",
  "Content-Encoding",
  "Content-Range",
  "Accept-Encoding",
  "If-None-Match",
  "Range",
];

for (const name of forbiddenNames) {
  test(`the header ${name} is ours to set`, () => {
    assert.match(complaint(ExtraHeaders, { [name]: "x" }) ?? "", /Posthaste or HTTP itself sets/);
  });
}

const headers: readonly (readonly [what: string, headers: unknown, isTaken: boolean])[] = [
  ["of usual names and values", { Authorization: "Bearer a.b", "x-tenant": "7" }, true],
  ["with an empty value", { "x-empty": "" }, true],
  ["with a tab in a value", { "x-tab": "a\tb" }, true],
  ["with a line feed in a value", { "x-a": "b\nx-c: d" }, false],
  ["with a carriage return in a value", { "x-a": "b\rc" }, false],
  ["with a line feed at a value's end", { "x-a": "b\n" }, false],
  ["with a NUL in a value", { "x-a": "b\0" }, false],
  ["with a value beyond ASCII", { "x-a": "ü" }, false],
  ["with a value of 1024 characters", { "x-a": "b".repeat(1024) }, true],
  ["with a value of 1025 characters", { "x-a": "b".repeat(1025) }, false],
  ["with a value that is no string", { "x-a": 1 }, false],
  ["with a blank in a name", { "x a": "b" }, false],
  ["with a line feed in a name", { "x-a\n": "b" }, false],
  ["with a colon in a name", { "x:a": "b" }, false],
  ["with an empty name", { "": "b" }, false],
  ["with a name of 65 characters", { ["x".repeat(65)]: "b" }, false],
  ["of one name in two cases", { "X-Token": "a", "x-token": "b" }, false],
  ["with the mask for a value", { "x-a": "***" }, false],
  ["with an asterisk for a value", { "x-a": "*" }, true],
  ["with null for a value", { "x-a": null }, false],
  ["that are a list", ["x-a"], false],
  ["as many as allowed", Object.fromEntries(Array.from({ length: HEADERS_MAX }, (_, at) => [`x-${at}`, "a"])), true],
  [
    "one more than allowed",
    Object.fromEntries(Array.from({ length: HEADERS_MAX + 1 }, (_, at) => [`x-${at}`, "a"])),
    false,
  ],
];

for (const [what, given, isTaken] of headers) {
  test(`headers ${what} are ${isTaken ? "taken" : "refused"}`, () => assert.equal(v.is(ExtraHeaders, given), isTaken));
}

test("header names are kept in lower case", () => {
  assert.deepEqual(v.parse(ExtraHeaders, { "X-Tenant": "A" }), { "x-tenant": "A" });
});

const base64Of = (count: number): string => btoa("k".repeat(count));
const secrets: readonly (readonly [what: string, secret: string, isTaken: boolean])[] = [
  ["of 24 bytes", `whsec_${base64Of(24)}`, true],
  ["of 64 bytes", `whsec_${base64Of(64)}`, true],
  ["of 23 bytes", `whsec_${base64Of(23)}`, false],
  ["of 65 bytes", `whsec_${base64Of(65)}`, false],
  ["without its prefix", base64Of(32), false],
  ["without its padding", `whsec_${base64Of(32).replace(/=+$/, "")}`, false],
  ["of URL-safe letters", `whsec_${"-_".repeat(16)}`, false],
  ["with a line feed behind it", `whsec_${base64Of(32)}\n`, false],
];

for (const [what, secret, isTaken] of secrets) {
  test(`a secret ${what} is ${isTaken ? "taken" : "refused, and not repeated in the answer"}`, () => {
    const message = complaint(NewEndpoint, { url: URL_TEXT, secret });
    assert.equal(message === null, isTaken);
    assert.ok(message === null || !message.includes(secret.slice(6, 20)));
  });
}

test("a URL alone makes an endpoint of all event types with every default", () => {
  assert.deepEqual(v.parse(NewEndpoint, { url: URL_TEXT }), {
    url: URL_TEXT,
    event_types: ["*"],
    description: "",
    headers: {},
    retry: null,
    rate_limit: null,
    batch: null,
    paused: false,
  });
});

const tooMany = Array.from({ length: SUBSCRIPTIONS_MAX + 1 }, (_, index) => `t${index}`);
const refusedSettings: readonly (readonly [what: string, settings: Record<string, unknown>])[] = [
  ["no event types", { event_types: [] }],
  ["too many event types", { event_types: tooMany }],
  ["a description of 501 characters", { description: "x".repeat(501) }],
  ["a rate limit of 0", { rate_limit: { limit: 0, window_ms: 1000 } }],
  ["a rate limit without its window", { rate_limit: { limit: 1 } }],
  ["a window longer than a day", { rate_limit: { limit: 1, window_ms: 86_400_001 } }],
  ["a batch of 1001 events", { batch: { max_events: 1001, max_wait_ms: 0 } }],
  ["a batch that waits longer than a minute", { batch: { max_events: 10, max_wait_ms: 60_001 } }],
  ["half an event", { batch: { max_events: 1.5, max_wait_ms: 0 } }],
  ["a retry policy of neither form", { retry: { attempts: 3 } }],
  ["a member that is not known", { event_type: ["*"] }],
];

for (const [what, given] of refusedSettings) {
  test(`an endpoint with ${what} is refused, new or patched`, () => {
    assert.equal(v.is(NewEndpoint, { url: URL_TEXT, ...given }), false);
    assert.equal(v.is(EndpointPatch, given), false);
  });
}

test("a patch holds only what it names, and null where a setting goes back to its default", () => {
  assert.deepEqual(v.parse(EndpointPatch, {}), {});
  assert.deepEqual(v.parse(EndpointPatch, { retry: null, paused: true }), { retry: null, paused: true });
});

test("a patch can enable an endpoint and never disable it, and never changes its secret", () => {
  assert.deepEqual(
    [{ disabled: false }, { disabled: true }, { secret: newSecret(seededEntropy(1)) }].map((patch) =>
      v.is(EndpointPatch, patch),
    ),
    [true, false, false],
  );
});

function endpointWith(given: Endpoint["secrets"]): Endpoint {
  return {
    id: "ep_1",
    tenant: "acme",
    url: URL_TEXT,
    eventTypes: ["*"],
    description: "",
    headers: {},
    secrets: given,
    retry: null,
    rateLimit: null,
    batch: null,
    status: "active",
    statusReason: null,
    statusSinceMs: null,
    trouble: null,
    createdAtMs: 0,
    updatedAtMs: 0,
  };
}

const first = endpointWith([{ secret: "one", createdAtMs: 0, expiresAtMs: null }]);

function rotated(endpoint: Endpoint, secret: string, nowMs: number): Endpoint {
  const rotation = rotateSecrets(endpoint, secret, nowMs);
  assert.ok(rotation.kind === "rotated");
  return endpointWith(rotation.secrets);
}

test("after a rotation old and new secret sign, the new one first, until the overlap ends", () => {
  const after = rotated(first, "two", NOW_MS);
  assert.deepEqual(secretTexts(activeSecrets(after, NOW_MS)), ["two", "one"]);
  assert.deepEqual(secretTexts(activeSecrets(after, NOW_MS + SECRET_OVERLAP_MS - 1)), ["two", "one"]);
  assert.deepEqual(secretTexts(activeSecrets(after, NOW_MS + SECRET_OVERLAP_MS)), ["two"]);
});

test("a second rotation does not lengthen the first one's overlap", () => {
  const once = rotated(first, "two", NOW_MS);
  const twice = rotated(once, "three", NOW_MS + 1000);
  assert.deepEqual(secretTexts(activeSecrets(twice, NOW_MS + 1000)), ["three", "two", "one"]);
  assert.deepEqual(secretTexts(activeSecrets(twice, NOW_MS + SECRET_OVERLAP_MS)), ["three", "two"]);
});

test("whatever is rotated when, each secret signs to its promised end, or the rotation is refused until one has", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 2 * SECRET_OVERLAP_MS }), { minLength: 1, maxLength: 12 }), (waits) => {
      let nowMs = NOW_MS;
      let endpoint = first;
      const promised = new Map<string, number>();
      for (const [index, waitMs] of waits.entries()) {
        nowMs += waitMs;
        const rotation = rotateSecrets(endpoint, `secret ${index}`, nowMs);
        if (rotation.kind === "full") {
          assert.equal(activeSecrets(endpoint, nowMs).length, SECRETS_MAX);
          assert.equal(rotateSecrets(endpoint, "x", rotation.freeAtMs - 1).kind, "full");
          assert.equal(rotateSecrets(endpoint, "x", rotation.freeAtMs).kind, "rotated");
        } else {
          endpoint = endpointWith(rotation.secrets);
          for (const { secret } of endpoint.secrets) promised.set(secret, promised.get(secret) ?? Infinity);
          const previous = endpoint.secrets[1];
          if (previous !== undefined) promised.set(previous.secret, previous.expiresAtMs ?? Infinity);
          assert.equal(endpoint.secrets[0]?.secret, `secret ${index}`);
        }
        const active = new Set(secretTexts(activeSecrets(endpoint, nowMs)));
        for (const [secret, untilMs] of promised) assert.equal(active.has(secret), untilMs > nowMs, secret);
        assert.ok(active.size <= SECRETS_MAX);
      }
    }),
  );
});

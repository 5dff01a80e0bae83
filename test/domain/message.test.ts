import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { rotateSecrets, SECRET_OVERLAP_MS } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { envelopeBody } from "@posthaste/shared/domain/envelope.ts";
import { isId } from "@posthaste/shared/domain/id.ts";
import { attemptHeaders, createGroup, messageBody, signingKeys, webhookId } from "@posthaste/shared/domain/message.ts";
import { newSecret, verifyMessage } from "@posthaste/shared/domain/signature.ts";
import { seededEntropy, testHasher } from "../support/ambient.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12, 0, 0, 999);
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function envelope(id: string, tenant = "acme"): Envelope {
  return {
    id,
    tenant,
    type: "order.paid",
    priority: "LOW",
    acceptedAtMs: NOW_MS,
    deliverAtMs: null,
    traceparent: null,
    tracestate: null,
    directoryVersion: 1,
    body: envelopeBody({ type: "order.paid", timestampMs: NOW_MS, dataText: `"${id}"` }),
  };
}

const endpoint: Endpoint = {
  id: "ep_1",
  tenant: "acme",
  url: "https://example.com/",
  eventTypes: ["*"],
  description: "",
  headers: { "x-own": "1" },
  secrets: [{ secret: newSecret(seededEntropy(1)), createdAtMs: 0, expiresAtMs: null }],
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

function headersOf(parts: Partial<Parameters<typeof attemptHeaders>[0]> = {}): Record<string, string> {
  const body = envelope("evt_1").body;
  return attemptHeaders({
    endpoint,
    id: "evt_1",
    body,
    attempt: 3,
    nowMs: NOW_MS,
    traceparent: null,
    tracestate: null,
    hasher: testHasher,
    ...parts,
  });
}

test("an attempt carries the endpoint's headers, ours, and nothing else", () => {
  const { "webhook-signature": signature, ...rest } = headersOf();
  assert.match(signature ?? "", /^v1,[A-Za-z0-9+/]{43}=$/);
  assert.deepEqual(rest, {
    "x-own": "1",
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": "Posthaste/0.1 (+webhooks)",
    "webhook-id": "evt_1",
    "webhook-timestamp": String(Math.floor(NOW_MS / 1000)),
    "posthaste-attempt": "3",
  });
});

test("a traceparent is sent when there is one", () => {
  assert.equal(headersOf({ traceparent: TRACE })["traceparent"], TRACE);
});

test("our own headers win over those of an endpoint, should it have come by such", () => {
  const sly = { ...endpoint, headers: { "webhook-id": "other", "user-agent": "other" } };
  const headers = headersOf({ endpoint: sly });
  assert.deepEqual([headers["webhook-id"], headers["user-agent"]], ["evt_1", "Posthaste/0.1 (+webhooks)"]);
});

function isVerified(headers: Record<string, string>, body: Uint8Array, keys: readonly Uint8Array[]): boolean {
  const { kind } = verifyMessage({
    id: headers["webhook-id"] ?? null,
    timestamp: headers["webhook-timestamp"] ?? null,
    signature: headers["webhook-signature"] ?? null,
    body,
    keys,
    hasher: testHasher,
    nowS: Math.floor(NOW_MS / 1000),
    toleranceS: 300,
  });
  return kind === "verified";
}

test("a receiver verifies an attempt with the endpoint's secret, and no other bytes", () => {
  const keys = signingKeys(endpoint, NOW_MS);
  assert.ok(isVerified(headersOf(), envelope("evt_1").body, keys));
  assert.ok(!isVerified(headersOf(), envelope("evt_2").body, keys));
});

test("during the overlap a receiver verifies with the old secret or the new, afterwards with the new alone", () => {
  const rotation = rotateSecrets(endpoint, newSecret(seededEntropy(2)), NOW_MS);
  assert.ok(rotation.kind === "rotated");
  const { secrets } = rotation;
  const rotated = { ...endpoint, secrets };
  const [newKey, oldKey] = signingKeys(rotated, NOW_MS);
  assert.ok(newKey !== undefined && oldKey !== undefined);
  const { body } = envelope("evt_1");
  const during = headersOf({ endpoint: rotated });
  const after = attemptHeaders({
    endpoint: {
      ...rotated,
      secrets: secrets.map((each) => ({
        ...each,
        expiresAtMs: each.expiresAtMs === null ? null : each.expiresAtMs - SECRET_OVERLAP_MS,
      })),
    },
    id: "evt_1",
    body,
    attempt: 1,
    nowMs: NOW_MS,
    traceparent: null,
    tracestate: null,
    hasher: testHasher,
  });
  const judge = (headers: Record<string, string>) => [
    isVerified(headers, body, [newKey]),
    isVerified(headers, body, [oldKey]),
  ];
  assert.deepEqual(
    [judge(during), judge(after)],
    [
      [true, true],
      [true, false],
    ],
  );
});

test("one event goes out under its own id with its own bytes", () => {
  const one = envelope("evt_1");
  assert.equal(webhookId([one], null), "evt_1");
  assert.equal(messageBody([one], null), one.body);
});

test("a group goes out under its own id, and its bytes are the same on each attempt", () => {
  const members = [envelope("evt_1"), envelope("evt_2")];
  const group = createGroup(members, NOW_MS, testHasher);
  assert.equal(webhookId(members, group), group.id);
  assert.ok(isId("grp", group.id));
  assert.deepEqual(messageBody(members, group), messageBody([...members], { ...group }));
});

test("a group of one is still a group", () => {
  const members = [envelope("evt_1")];
  const group = createGroup(members, NOW_MS, testHasher);
  assert.equal(webhookId(members, group), group.id);
  assert.match(new TextDecoder().decode(messageBody(members, group)), /^\{"type":"posthaste.batch"/);
});

test("a group's id is the same for the same members, and differs by member, order, tenant and time", () => {
  const pair = [envelope("evt_1"), envelope("evt_2")];
  const idOf = (members: readonly Envelope[], atMs = NOW_MS) => createGroup(members, atMs, testHasher).id;
  assert.equal(idOf(pair), idOf([...pair]));
  const others = [
    idOf(pair.slice(0, 1)),
    idOf(pair.toReversed()),
    idOf([envelope("evt_1"), envelope("evt_2", "acme2")]),
    idOf(pair, NOW_MS + 1),
  ];
  assert.equal(new Set([idOf(pair), ...others]).size, 5);
});

test("a message without events, or of several without a group, is a bug of ours", () => {
  assert.throws(() => webhookId([], null), /broken invariant/);
  assert.throws(() => webhookId([envelope("evt_1"), envelope("evt_2")], null), /broken invariant/);
  assert.throws(() => messageBody([], null), /broken invariant/);
});

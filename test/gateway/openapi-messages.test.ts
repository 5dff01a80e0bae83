/** What receivers get is what the description says of it: our own events as they are made, batches, and the fields of a message. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonSchema } from "@posthaste/gateway/openapi/json-schema.ts";
import { parameterOf } from "@posthaste/gateway/openapi/webhooks.ts";
import { ALERT_RULES } from "@posthaste/shared/domain/alert-rules.ts";
import { alertEvent } from "@posthaste/shared/domain/alerts.ts";
import type { OwnEvent } from "@posthaste/shared/domain/own-event.ts";
import { deadEvent, endpointAlert, noticeEvent, ownEnvelope } from "@posthaste/shared/domain/own-event.ts";
import { attemptHeaders, createGroup, messageBody } from "@posthaste/shared/domain/message.ts";
import { testHasher } from "../support/ambient.ts";
import { assertMatches, DOCUMENT } from "../support/documented-answers.ts";
import { endpointOf, envelopeOf, START_MS } from "../support/samples.ts";

const NOW_MS = START_MS;
const decoder = new TextDecoder();
const WAS_DISABLED = { statusReason: "no attempt succeeded for 5 days" };
const endpoint = endpointOf("ep1", WAS_DISABLED);
const KINDS = ["failing", "disabled", "recovered"] as const;
const trouble = { sinceMs: NOW_MS - 1000, seenAtMs: NOW_MS, notice: null };
const notices = KINDS.map((kind) => ({ kind, atMs: NOW_MS, isSent: false }));
const standing = { sinceMs: NOW_MS, seenAtMs: NOW_MS, value: 12, isSent: false };
const letter = {
  id: "dlv_1",
  tenant: "default",
  eventId: "evt_1",
  endpointId: "ep1",
  reason: "answered 500",
  attempts: 10,
};

const events: readonly OwnEvent[] = [
  ...notices.map((notice) => noticeEvent(endpoint, trouble, notice, 1000)),
  ...notices.map((notice) => endpointAlert(endpoint, trouble, notice)),
  // A first 410 disables at once: there is no time of failing.
  ...notices.slice(1, 2).map((notice) => noticeEvent(endpoint, { ...trouble, sinceMs: NOW_MS }, notice, 1000)),
  deadEvent({ ...letter, atMs: NOW_MS, envelope: envelopeOf("evt_1") }),
  ...Object.entries(ALERT_RULES).flatMap(([name, rule]) =>
    [null, NOW_MS].map((resolvedAtMs) => alertEvent(name, rule, { ...standing, resolvedAtMs })),
  ),
];

test("every event of our own is described, as it is made", () => {
  const seen = new Set<string>();
  for (const event of events) {
    const name = nameOf(event.type);
    assert.ok(name !== null, `${event.type} is described`);
    assertMatches(bodyOf(name), decoder.decode(ownEnvelope(event, 0, testHasher).body), event.type);
    seen.add(name);
  }
  const own = Object.keys(DOCUMENT.webhooks).filter(
    (name) => name.startsWith("posthaste.") && name !== "posthaste.batch",
  );
  assert.deepEqual([...seen].toSorted(), own.toSorted());
});

test("an event and a batch are described, as they are sent", () => {
  const members = [envelopeOf("evt_1"), envelopeOf("evt_2")];
  const text = (of: typeof members, group: ReturnType<typeof createGroup> | null): string =>
    decoder.decode(messageBody(of, group));
  assertMatches(bodyOf("event"), text(members.slice(0, 1), null), "event");
  assertMatches(bodyOf("posthaste.batch"), text(members, createGroup(members, NOW_MS, testHasher)), "batch");
});

test("a message has the fields that are described as required, and no others but those that may be there", () => {
  const message = { endpoint, id: "evt_1", body: new Uint8Array(), attempt: 1, nowMs: NOW_MS, hasher: testHasher };
  const sent = attemptHeaders({ ...message, traceparent: "00-1", tracestate: "a=1" });
  const least = attemptHeaders({ ...message, traceparent: null, tracestate: null });
  for (const [name, item] of Object.entries(DOCUMENT.webhooks)) {
    const fields = (item["post"]?.parameters ?? []).map((field) => parameterOf(DOCUMENT, field));
    const named = (isAsked: (required: boolean) => boolean): readonly string[] =>
      fields.filter(({ required }) => isAsked(required === true)).map((field) => field.name);
    const withoutType = (headers: Readonly<Record<string, string>>): readonly string[] =>
      Object.keys(headers).filter((field) => field !== "content-type");
    assert.deepEqual(withoutType(sent).toSorted(), named(() => true).toSorted(), name);
    assert.deepEqual(withoutType(least).toSorted(), named((required) => required).toSorted(), name);
    assert.deepEqual(Object.keys(item["post"]?.requestBody?.content ?? {}), [sent["content-type"]]);
  }
});

/** Alerts that rules begin share one description. */
function nameOf(type: string): string | null {
  if (Object.hasOwn(DOCUMENT.webhooks, type)) return type;
  return type.startsWith("posthaste.alert.") ? "posthaste.alert" : null;
}

function bodyOf(name: string): JsonSchema {
  const schema = DOCUMENT.webhooks[name]?.["post"]?.requestBody?.content["application/json"]?.schema;
  assert.ok(schema !== undefined, name);
  return schema;
}

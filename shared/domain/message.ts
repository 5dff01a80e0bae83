/**
 * The signed HTTP form of a delivery: one event, or a group of LOW events for an endpoint that takes batches.
 * Standard Webhooks 1.0.0: same id and bytes on each attempt, the attempt's own timestamp in whole seconds.
 */
import type { Hasher } from "../lib/ambient.ts";
import type { Endpoint, EndpointSecret } from "./endpoint.ts";
import type { Envelope } from "./envelope.ts";
import { assert } from "../lib/assert.ts";
import { activeSecrets } from "./endpoint.ts";
import { groupBody } from "./envelope.ts";
import { derivedId } from "./id.ts";
import { parseSecret, signMessage } from "./signature.ts";

export const USER_AGENT = "Posthaste/0.1 (+webhooks)";

export interface Group {
  /** `grp_` + 26, derived from the members' ids; the group's `webhook-id`. */
  readonly id: string;
  /** When the group was closed; part of its bytes. */
  readonly closedAtMs: number;
}

export function createGroup(members: readonly Envelope[], closedAtMs: number, hasher: Hasher): Group {
  const content = members.map(({ tenant, id }) => `${tenant}\n${id}`).join("\n");
  return { id: derivedId("grp", closedAtMs, hasher, content), closedAtMs };
}

export function webhookId(members: readonly Envelope[], group: Group | null): string {
  const first = members[0];
  assert(first !== undefined && (group !== null || members.length === 1), "a message has one event or is a group");
  return group === null ? first.id : group.id;
}

export function messageBody(members: readonly Envelope[], group: Group | null): Uint8Array {
  const first = members[0];
  assert(first !== undefined, "a message has at least one event");
  return group === null ? first.body : groupBody(members, group.closedAtMs);
}

/** Base64 is decoded once for each secret that a directory holds, not at each attempt. */
const keyOf = new WeakMap<EndpointSecret, Uint8Array>();

/** The keys of all secrets in force, newest first. */
export function signingKeys(endpoint: Endpoint, nowMs: number): readonly Uint8Array[] {
  return activeSecrets(endpoint, nowMs).map((secret) => keyOf.get(secret) ?? decodeKey(secret));
}

function decodeKey(secret: EndpointSecret): Uint8Array {
  const parsed = parseSecret(secret.secret);
  assert(parsed.kind === "ok", "a stored secret is valid");
  keyOf.set(secret, parsed.key);
  return parsed.key;
}

export function attemptHeaders(input: {
  endpoint: Endpoint;
  id: string;
  body: Uint8Array;
  attempt: number;
  nowMs: number;
  traceparent: string | null;
  tracestate: string | null;
  hasher: Hasher;
}): Record<string, string> {
  const timestampS = Math.floor(input.nowMs / 1000);
  const keys = signingKeys(input.endpoint, input.nowMs);
  const headers: Record<string, string> = {
    ...input.endpoint.headers,
    "content-type": "application/json",
    // Nothing of an answer is decoded: what is kept of it is to be read by a person.
    "accept-encoding": "identity",
    "user-agent": USER_AGENT,
    "webhook-id": input.id,
    "webhook-timestamp": String(timestampS),
    "webhook-signature": signMessage({ id: input.id, timestampS, body: input.body, keys, hasher: input.hasher }),
    "posthaste-attempt": String(input.attempt),
  };
  if (input.traceparent !== null) headers["traceparent"] = input.traceparent;
  if (input.tracestate !== null) headers["tracestate"] = input.tracestate;
  return headers;
}

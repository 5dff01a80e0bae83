/**
 * Signs the message of a delivery and makes one attempt. Never rejects: whatever happens is an `AttemptResult`, or a message
 * that cannot be written as HTTP, which is no fault of the endpoint.
 */
import type { AttemptResult, Milestone } from "@posthaste/shared/domain/attempt.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import type { TraceHeaders } from "@posthaste/shared/telemetry/request-trace.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { PendingDelivery } from "./pending-delivery.ts";
import type { Standstill } from "./standstill.ts";
import { attemptHeaders, messageBody, webhookId } from "@posthaste/shared/domain/message.ts";
import { subjectOf } from "./pending-delivery.ts";

export interface SendDeps {
  readonly transport: Pick<Transport, "send">;
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly attemptMs: number;
  readonly telemetry: Pick<Telemetry, "delivery" | "trace">;
  /** Of the delivery's endpoint, among those of its event. */
  readonly isApart: (delivery: PendingDelivery) => boolean;
  readonly standstill: Pick<Standstill, "count">;
  /** Aborted when a stop begins: what still waits for an address ends. */
  readonly stopping: AbortSignal;
  /** Aborted when a stop has waited long enough. */
  readonly signal: AbortSignal;
}

export interface NotWritten {
  readonly kind: "not-written";
  /** One sentence. */
  readonly reason: string;
}

export type Send = (delivery: PendingDelivery, endpoint: Endpoint) => Promise<AttemptResult | NotWritten>;

export function createSend(deps: SendDeps): Send {
  return async (delivery, endpoint) => {
    const { delivery: telemetry, trace } = deps.telemetry;
    const attemptTrace = trace.ofAttempt(delivery, () => deps.isApart(delivery));
    const message = writeMessage(deps, delivery, endpoint, attemptTrace);
    if (message.kind === "not-written") return message;
    const { headers, body } = message;
    const { tenant } = delivery;
    const { attemptMs: timeoutMs, stopping, standstill } = deps;
    const before = standstill.count();
    const mayBegin = (): boolean => standstill.count() === before;
    const milestones: Milestone[] | null = attemptTrace.place === null ? null : [];
    const request = { url: endpoint.url, tenant, headers, body, timeoutMs, stopping, mayBegin, milestones };
    const ended = await deps.transport.send(request, deps.signal);
    const result = mayBegin() ? ended : unheard(ended);
    telemetry.attempted(subjectOf(delivery), result);
    trace.attempted(delivery, attemptTrace, { endpoint, result, milestones: milestones ?? [] });
    return result;
  };
}

/** An answer counts whenever it was read; what went wrong while nobody listened is no fault of the endpoint. */
function unheard(ended: AttemptResult): AttemptResult {
  if (ended.kind === "answered") return ended;
  return { ...ended, fault: "aborted", detail: `the process stood still during the attempt (${ended.fault})` };
}

interface Message {
  readonly kind: "message";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** RFC 9110 section 5.5, without the obsolete bytes. */
const FIELD_VALUE = /^[\t\x20-\x7e]*$/;

/** What stores hold may have been put there by hand: an id, a time or a header that HTTP has no place for. */
function writeMessage(
  deps: SendDeps,
  delivery: PendingDelivery,
  endpoint: Endpoint,
  { traceparent, tracestate }: TraceHeaders,
): Message | NotWritten {
  const { members, group, attempt } = delivery;
  try {
    const body = messageBody(members, group);
    const headers = attemptHeaders({
      endpoint,
      id: webhookId(members, group),
      body,
      attempt,
      nowMs: deps.clock.now(),
      traceparent,
      tracestate,
      hasher: deps.hasher,
    });
    const odd = Object.entries(headers).find(([, value]) => !FIELD_VALUE.test(value));
    if (odd === undefined) return { kind: "message", headers, body };
    return { kind: "not-written", reason: `the message cannot be sent: its header ${odd[0]} is no text of HTTP` };
  } catch {
    return { kind: "not-written", reason: "the message cannot be sent: it cannot be signed" };
  }
}

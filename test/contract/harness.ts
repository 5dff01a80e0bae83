/** What a driver set brings to be put to the test, and the samples that the contract suites share. */
import assert from "node:assert/strict";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { DeadLetter, Page } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import type { RetryItem, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";

/** Small bounds for the tests of what happens at them; each driver set maps them to its own options. */
export interface HarnessBounds {
  readonly laneItemsMax?: number;
  readonly laneBytesMax?: number;
  readonly retryItemsMax?: number;
  readonly deadLetterBytesMax?: number;
  readonly endpointsMax?: number;
  readonly apiKeysMax?: number;
  readonly limitSubjectsMax?: number;
}

export interface Harness extends AsyncDisposable {
  /** The set of the process that lives now. */
  readonly drivers: Drivers;
  readonly clock: HarnessClock;
  /** The process dies without a word, and another one opens the same data. */
  reopen(): Promise<void>;
}

export interface HarnessClock {
  now(): number;
  advance(ms: number): Promise<void>;
  settle(): Promise<void>;
  stepWall(ms: number): void;
}

export type OpenHarness = (bounds?: HarnessBounds) => Promise<Harness>;

export const START_MS = Date.UTC(2026, 0, 31, 12);
export const TENANT = "acme";
export const ENDPOINT_ID = "ep_01kg9bqf00aaaaaaaaaaaaaaaa";

const encoder = new TextEncoder();

export function sampleEnvelope(id: string, parts: Partial<Envelope> = {}): Envelope {
  return {
    id,
    tenant: TENANT,
    type: "order.paid",
    priority: "MEDIUM",
    acceptedAtMs: START_MS,
    deliverAtMs: null,
    traceparent: null,
    directoryVersion: 1,
    body: encoder.encode(`{"type":"order.paid","timestamp":"2026-01-31T12:00:00.000Z","data":{"id":"${id}"}}`),
    ...parts,
  };
}

export function sampleEnvelopes(count: number, parts: Partial<Envelope> = {}): Envelope[] {
  return Array.from({ length: count }, (_, index) => sampleEnvelope(`evt_${index}`, parts));
}

export function sampleScheduled(members: readonly Envelope[], parts: Partial<Scheduled> = {}): Scheduled {
  return {
    cause: "retry",
    notBeforeMs: START_MS + 5000,
    endpointId: ENDPOINT_ID,
    generation: 0,
    attempt: 2,
    deferrals: 0,
    members,
    group: null,
    ...parts,
  };
}

export function sampleDeadLetter(id: string, parts: Partial<DeadLetter> = {}): DeadLetter {
  const envelope = parts.envelope ?? sampleEnvelope(`evt_of_${id}`);
  return {
    id,
    tenant: envelope.tenant,
    eventId: envelope.id,
    endpointId: ENDPOINT_ID,
    generation: 0,
    state: "dead",
    reason: "answered 500; attempt 10 of 10 was the last",
    attempts: 10,
    atMs: START_MS,
    ...parts,
    envelope,
  };
}

export function sampleRecord(envelope: Envelope, parts: Partial<DeliveryRecord> = {}): DeliveryRecord {
  return {
    tenant: envelope.tenant,
    eventId: envelope.id,
    endpointId: ENDPOINT_ID,
    generation: 0,
    eventType: envelope.type,
    atMs: START_MS + 100,
    state: "delivered",
    attempt: 1,
    result: { kind: "answered", status: 200, retryAfter: null, bodyExcerpt: "ok", isBodyCut: false, durationMs: 12.5 },
    groupId: null,
    nextAttemptAtMs: null,
    reason: null,
    ...parts,
  };
}

export function sampleEndpoint(id: string, parts: Partial<Endpoint> = {}): Endpoint {
  return {
    id,
    tenant: TENANT,
    url: "https://example.com/hooks",
    eventTypes: ["order.*"],
    description: "orders",
    headers: { authorization: "Bearer abc" },
    secrets: [{ secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", createdAtMs: START_MS, expiresAtMs: null }],
    retry: { delays_s: [0, 5] },
    rateLimit: { limit: 10, windowMs: 1000 },
    batch: { maxEvents: 10, maxWaitMs: 100 },
    status: "active",
    statusReason: null,
    statusSinceMs: null,
    createdAtMs: START_MS,
    updatedAtMs: START_MS,
    ...parts,
  };
}

export function sampleKey(id: string, parts: Partial<ApiKey> = {}): ApiKey {
  return {
    id,
    hash: `hash-of-${id}`,
    hint: "phk_0123…",
    name: "orders service",
    tenant: TENANT,
    scopes: ["publish", "read"],
    rateLimit: { limit: 1000, windowMs: 1000 },
    createdAtMs: START_MS,
    expiresAtMs: null,
    revokedAtMs: null,
    ...parts,
  };
}

const NEVER = new AbortController().signal;

/** Takes what is there; the test hangs, and so fails, when there is nothing. */
export function takeSome(harness: Harness, lane: Lane, max = 100): Promise<readonly LaneItem[]> {
  return harness.drivers.lanes.take(lane, max, NEVER);
}

export function takeDue(harness: Harness, max = 100): Promise<readonly RetryItem[]> {
  return harness.drivers.retryQueue.take(max, NEVER);
}

/** Asserts that the lane has nothing to hand out now. */
export async function assertLaneIdle(harness: Harness, lane: Lane): Promise<void> {
  assert.deepEqual(idsOf(await takeUntilSettled(harness, (signal) => harness.drivers.lanes.take(lane, 1, signal))), []);
}

/** Asserts that no scheduled item is due now. */
export async function assertNothingDue(harness: Harness): Promise<void> {
  const items = await takeUntilSettled(harness, (signal) => harness.drivers.retryQueue.take(1, signal));
  assert.deepEqual(
    items.map(({ notBeforeMs }) => notBeforeMs),
    [],
  );
}

async function takeUntilSettled<Item>(
  harness: Harness,
  take: (signal: AbortSignal) => Promise<readonly Item[]>,
): Promise<readonly Item[]> {
  const controller = new AbortController();
  const taken = take(controller.signal);
  await harness.clock.settle();
  controller.abort();
  return await taken;
}

export function idsOf(items: readonly LaneItem[]): string[] {
  return items.map(({ envelope }) => envelope.id);
}

export function memberIdsOf(items: readonly RetryItem[]): string[][] {
  return items.map(({ members }) => members.map(({ id }) => id));
}

/** All pages of a list in order, `limit` rows at a time. */
export async function readAll<Row>(list: (cursor: string | null) => Promise<Page<Row>>): Promise<Row[][]> {
  const pages: Row[][] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Row> = await list(cursor);
    pages.push([...page.rows]);
    cursor = page.next;
  } while (cursor !== null && pages.length < 1000);
  return pages;
}

/** For `assert.rejects`: a PosthasteError with this code. */
export function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof PosthasteError && error.code === code;
}

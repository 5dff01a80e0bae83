/** What a driver set brings to be put to the test, and how the contract suites look at it. */
import assert from "node:assert/strict";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Page } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import type { RetryItem } from "@posthaste/shared/ports/retry-queue.ts";

/** Small bounds for the tests of what happens at them; each driver set maps them to its own options. */
export interface HarnessBounds {
  readonly laneItemsMax?: number;
  readonly laneBytesMax?: number;
  readonly retryItemsMax?: number;
  readonly deadLetterBytesMax?: number;
  readonly endpointsMax?: number;
  /** Without endpoints, of which the version is kept. */
  readonly emptyTenantsMax?: number;
  readonly apiKeysMax?: number;
  readonly apiKeysEndedMax?: number;
  readonly catalogue?: { readonly typesMax: number; readonly bytesMax: number };
  readonly claimBytesMax?: number;
  readonly cancelledMax?: number;
  /** Embedded sets alone. */
  readonly databaseBytesMax?: number;
  readonly limitSubjectsMax?: number;
  /** Distributed sets alone. */
  readonly spoolBytesMax?: number;
}

export interface Harness extends AsyncDisposable {
  /** The set of the process that lives now. */
  readonly drivers: Drivers;
  readonly clock: HarnessClock;
  /** Days that a test lets pass at most, 30 unless given: where each minute of them asks a real store, days take seconds. */
  readonly daysMax?: number;
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

export const NEVER = new AbortController().signal;

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

/** What was taken when `ms` have passed; fails when that is nothing yet, or came more than a second before. */
export async function takenWithin<Item>(
  harness: Harness,
  taken: Promise<readonly Item[]>,
  ms: number,
): Promise<readonly Item[]> {
  let items: readonly Item[] | null = null;
  void taken.then((found) => (items = found));
  await harness.clock.advance(Math.max(0, ms - 1000));
  assert.equal(items, null, "taken too early");
  await harness.clock.advance(Math.min(ms, 1000));
  assert.notEqual(items, null, `nothing was taken within ${ms} ms`);
  return await taken;
}

/** What is there by the time that all is quiet. */
export async function takeUntilSettled<Item>(
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

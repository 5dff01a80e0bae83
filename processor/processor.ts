/**
 * The stream processor: drains the lanes and the retry queue, delivers, settles. It knows ports only, and runs the same
 * on every driver set and on a virtual clock.
 */
import type { ProcessorLimits } from "./limits.ts";
import type { QueueItemDeps } from "./intake/queue-items.ts";
import type { Pipeline, ProcessorDeps } from "./pipeline.ts";
import type { Window } from "./intake/window.ts";
import type { ProcessorQueue, ProcessorSample } from "@posthaste/shared/telemetry/processor.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import { SUPERVISION_DEFAULTS, supervise } from "@posthaste/shared/lib/lifecycle.ts";
import { createCompany } from "@posthaste/shared/lib/company.ts";
import { createStandstill } from "./delivery/standstill.ts";
import type { LowWaiting } from "./endpoint/low-waiting.ts";
import { createLowWaiting } from "./endpoint/low-waiting.ts";
import { createLowThrottle } from "./intake/low-throttle.ts";
import { createHands, createOutstanding } from "./intake/queue-items.ts";
import { createPipeline } from "./pipeline.ts";
import { recoverLeft } from "./recovery/left-behind.ts";
import type { InHand } from "./intake/in-hand.ts";
import { createInHand } from "./intake/in-hand.ts";
import { createLaneLoop } from "./intake/lane-loop.ts";
import { createRetryLoop } from "./intake/retry-loop.ts";
import { createWindow } from "./intake/window.ts";

export interface Processor {
  /**
   * Stops taking, ends look-ups that attempts wait for, lets attempts in flight end for up to `stopMs`, breaks off the rest and releases everything
   * unfinished. Resolves when done, in bounded time whatever the stores do, with what could not be finished, a phrase each: it
   * comes again at the next start or in another process. Nothing accepted is lost if the process is killed instead.
   */
  stop(): Promise<readonly string[]>;
  /** Items taken and not yet settled. */
  outstanding(): number;
  /** Calls back what overflowed in a processor that died over it. Never rejects: a store that fails is asked again. */
  recoverLeft(): Promise<void>;
}

export function startProcessor(deps: ProcessorDeps): Processor {
  const { drivers, clock, entropy, telemetry, limits } = deps;
  const taking = new AbortController();
  const sending = new AbortController();
  const writing = new AbortController();
  const outstanding = createOutstanding();
  const isBusy = (): boolean => outstanding.count() > 0;
  const standstill = createStandstill({ clock, isBusy, found: (ms) => telemetry.queue.stoodStill(ms) });
  const signals = { taking: taking.signal, sending: sending.signal, writing: writing.signal };
  const windows = windowsOf(deps);
  const lowWaiting = createLowWaiting(windows.low.isWide, () => drivers.lanes.lookAgain("low"));
  const company = createCompany(clock);
  const hands = createHands(clock, company);
  const pipeline = createPipeline(deps, { signals, standstill, lowWaiting, company });
  const { recovery, untilStored } = pipeline;
  const recoverAll = (): void => void untilStored("recover held", () => recovery.recoverAll(taking.signal));
  const unsubscribe = drivers.notifier.subscribe((announcement) => {
    if (announcement.kind === "some-were-lost") return recoverAll();
    if (announcement.kind === "event-types-changed") return;
    void recovery.recover(announcement.tenant, announcement.endpointId);
    void forgetIfRemoved(pipeline, announcement.tenant, announcement.endpointId);
  });
  const onFailure = (what: string, error: unknown, waitMs: number) => telemetry.queue.loopFailed(what, error, waitMs);
  const supervision = { clock, entropy, ...SUPERVISION_DEFAULTS, onFailure };
  const held = { windows, inHand: createInHand((item) => pipeline.limiters.came(item)) };
  telemetry.processor.observe(
    () => sampleOf(pipeline, held, limits),
    () => clock.now(),
  );
  const loops = loopsOf(deps, pipeline, { outstanding, standstill, lowWaiting, company, hands, ...held }).map(
    ({ name, run }) => supervise(name, run, supervision, taking.signal),
  );
  recoverAll();

  return {
    outstanding: () => outstanding.count(),
    async recoverLeft() {
      const look = () => recoverLeft({ ...pipeline, clock, deadLetters: drivers.deadLetters }, taking.signal);
      await untilStored("recover left", look);
    },
    async stop() {
      unsubscribe();
      taking.abort();
      pipeline.groups.abandon();
      // What overflowed here is called back by whoever goes on.
      for (const { tenant, endpointId } of pipeline.limiters.close())
        drivers.notifier.publish({ kind: "directory-changed", tenant, endpointId });
      await inTime(clock, LOOPS_END_MS, Promise.all(loops));
      await inTime(clock, limits.stopMs, outstanding.whenZero());
      sending.abort();
      await inTime(clock, BREAK_OFF_MS, outstanding.whenZero());
      pipeline.settlements.flush();
      writing.abort();
      const flushed = await inTime(clock, FLUSH_MS, drivers.flush());
      standstill.stop();
      return [
        ...Array.from(pipeline.givenUp(), ([what, count]) => `${count} writes of "${what}"`),
        ...(outstanding.count() === 0 ? [] : [`${outstanding.count()} items were not let go`]),
        ...(flushed.kind === "done" ? [] : ["ledger and stats were not written"]),
      ];
    },
  };
}

/** A directory that cannot tell costs a limiter that stays until many others have come. */
async function forgetIfRemoved({ lookup, limiters }: Pipeline, tenant: string, endpointId: string): Promise<void> {
  const endpoint = await lookup.find(tenant, endpointId, 0).catch(() => undefined);
  if (endpoint === null) limiters.removed(endpointId);
}

type Windows = Readonly<Record<ProcessorQueue, Window>>;

/** What the loops have taken. */
interface Held {
  readonly windows: Windows;
  readonly inHand: InHand;
}

function sampleOf({ limiters }: Pipeline, { windows, inHand }: Held, limits: ProcessorLimits): ProcessorSample {
  const sample = limiters.sample();
  const times = [sample.oldestDeferredAtMs, inHand.oldestAtMs()].filter((atMs) => atMs !== null);
  const oldestDeferredAtMs = times.length === 0 ? null : Math.min(...times);
  return { ...sample, oldestDeferredAtMs, windowFill: fillOf(windows, limits) };
}

function windowsOf({ drivers, limits }: ProcessorDeps): Windows {
  const { lanes } = drivers;
  const windowOf = (queue: ProcessorQueue): Window => {
    const bounds = { itemsMax: limits.windowItems[queue], bytesMax: limits.windowBytes, perFree: limits.tenantPerFree };
    return createWindow(bounds, () => void (queue !== "retry" && lanes.lookAgain(queue)));
  };
  return { high: windowOf("high"), medium: windowOf("medium"), low: windowOf("low"), retry: windowOf("retry") };
}

function fillOf(
  { high, medium, low, retry }: Windows,
  { windowItems }: ProcessorLimits,
): ProcessorSample["windowFill"] {
  return {
    high: high.count() / windowItems.high,
    medium: medium.count() / windowItems.medium,
    low: low.count() / windowItems.low,
    retry: retry.count() / windowItems.retry,
  };
}

/** The four readers: one per lane, and one of the retry queue. */
function loopsOf(
  { drivers, clock, telemetry }: ProcessorDeps,
  pipeline: Pipeline,
  {
    windows,
    inHand,
    lowWaiting,
    ...shared
  }: Pick<QueueItemDeps, "outstanding" | "standstill" | "company" | "hands"> &
    Held & { readonly lowWaiting: LowWaiting },
) {
  const { lanes, retryQueue } = drivers;
  const { deliverEvent, putAside, untilStored, settlements } = pipeline;
  const onFailure = (what: string, error: unknown, waitMs: number) => telemetry.queue.loopFailed(what, error, waitMs);
  const depsOf = (queue: ProcessorQueue) => {
    const own = { queue, window: windows[queue], telemetry: telemetry.processor };
    return { ...shared, ...own, untilStored, settlements, deliverEvent, putAside, clock, onFailure };
  };
  const lowThrottle = createLowThrottle(clock, lowWaiting);
  const laneLoops = LANES.map((lane) => {
    const groups = lane === "low" ? pipeline.groups : null;
    return { name: `lane ${lane}`, run: createLaneLoop({ ...depsOf(lane), lane, lanes, groups, lowThrottle }) };
  });
  const { lookup, run, settle } = pipeline;
  return [
    ...laneLoops,
    { name: "retries", run: createRetryLoop({ ...depsOf("retry"), retryQueue, inHand, lookup, run, settle }) },
  ];
}

/** Loops end with their signal; one that a store keeps is not waited for. */
const LOOPS_END_MS = 3000;
/** After attempts were broken off, the time for releasing their items. */
const BREAK_OFF_MS = 5000;
/** What ledger and stats still hold in memory; the rest of it shows nowhere, and no delivery depends on it. */
const FLUSH_MS = 3000;

/**
 * The stream processor: drains the lanes and the retry queue, delivers, settles. Rung 4: it knows ports only, and runs
 * the same on every driver set and on a virtual clock.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { ProcessorLimits } from "./limits.ts";
import type { Outstanding } from "./intake/outstanding.ts";
import type { Pipeline, ProcessorDeps } from "./pipeline.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { SUPERVISION_DEFAULTS, supervise } from "@posthaste/shared/lib/lifecycle.ts";
import { createLowThrottle } from "./intake/low-throttle.ts";
import { createOutstanding } from "./intake/outstanding.ts";
import { createPipeline } from "./pipeline.ts";
import { observeQueues } from "./intake/queue-samples.ts";
import { createLaneLoop, createRetryLoop } from "./intake/queue-loops.ts";
import { createWindow } from "./intake/window.ts";

export interface Processor {
  /**
   * Stops taking, lets attempts in flight end for up to `stopMs`, breaks off the rest and hands everything unfinished
   * back. Resolves when done; nothing accepted is lost if the process is killed instead.
   */
  stop(): Promise<void>;
  /** Items taken and not yet settled. */
  outstanding(): number;
}

export function startProcessor(deps: ProcessorDeps): Processor {
  const { drivers, clock, entropy, telemetry, limits } = deps;
  const taking = new AbortController();
  const sending = new AbortController();
  const writing = new AbortController();
  const outstanding = createOutstanding();
  const pipeline = createPipeline(deps, { sending: sending.signal, writing: writing.signal });
  const { recovery, persist } = pipeline;
  const recoverAll = (): void => void persist("recover held", () => recovery.recoverAll(taking.signal));
  const unsubscribe = drivers.notifier.subscribe((announcement) => {
    if (announcement.kind === "some-were-lost") return recoverAll();
    void recovery.recover(announcement.tenant, announcement.endpointId);
    forgetIfRemoved(pipeline, announcement.tenant, announcement.endpointId);
  });
  observeQueues(drivers, telemetry.queue, clock);
  const onFailure = (what: string, error: unknown, waitMs: number) => telemetry.queue.loopFailed(what, error, waitMs);
  const supervision = { clock, entropy, ...SUPERVISION_DEFAULTS, onFailure };
  const loops = loopsOf(deps, pipeline, outstanding).map(({ name, run }) =>
    supervise(name, run, supervision, taking.signal),
  );
  recoverAll();

  return {
    outstanding: () => outstanding.count(),
    async stop() {
      unsubscribe();
      taking.abort();
      pipeline.groups.abandon();
      pipeline.gates.close();
      await Promise.all(loops);
      await within(clock, limits.stopMs, outstanding.whenZero());
      sending.abort();
      await within(clock, BREAK_OFF_MS, outstanding.whenZero());
      pipeline.settlements.flush();
      writing.abort();
      await drivers.flush();
    },
  };
}

/** A directory that cannot tell costs a gate that stays until many others have come. */
function forgetIfRemoved({ lookup, gates }: Pipeline, tenant: string, endpointId: string): void {
  const use = (endpoint: Endpoint | null) => {
    if (endpoint === null) gates.removed(endpointId);
  };
  const found = lookup.find(tenant, endpointId);
  if (found instanceof Promise) found.then(use).catch(() => undefined);
  else use(found);
}

/** The four readers: one per lane, and one of the retry queue. */
function loopsOf({ drivers, limits, clock }: ProcessorDeps, pipeline: Pipeline, outstanding: Outstanding) {
  const { dispatcher, persist, settlements } = pipeline;
  const shared = { dispatcher, persist, settlements, outstanding };
  const windowOf = (queue: keyof ProcessorLimits["windowItems"]) =>
    createWindow({ itemsMax: limits.windowItems[queue], bytesMax: limits.windowBytes });
  const lowThrottle = createLowThrottle(clock);
  const lanes = LANES.map((lane) => ({
    name: `lane ${lane}`,
    run: createLaneLoop({
      ...shared,
      lane,
      lanes: drivers.lanes,
      window: windowOf(lane),
      groups: lane === "low" ? pipeline.groups : null,
      lowThrottle,
    }),
  }));
  const { lookup, settle } = pipeline;
  const retryQueue = drivers.retryQueue;
  const run = createRetryLoop({ ...shared, retryQueue, window: windowOf("retry"), lookup, settle });
  return [...lanes, { name: "retries", run }];
}

/** After attempts were broken off, the time for handing their items back. */
const BREAK_OFF_MS = 5000;

/** Resolves with `work`, or after `ms`. */
async function within(clock: Clock, ms: number, work: Promise<void>): Promise<void> {
  const give = new AbortController();
  await Promise.race([work, clock.sleep(ms, give.signal).catch(() => undefined)]);
  give.abort();
}

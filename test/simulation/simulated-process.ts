/**
 * One life of the product: the real gateway, processor and embedded drivers over the virtual clock, disk and network.
 * A kill takes everything but what is on the disk and what is on the wire.
 */
import type { DatabaseSync } from "node:sqlite";
import { createGateway } from "@posthaste/gateway/app.ts";
import type { GatewayLimits } from "@posthaste/gateway/request/deps.ts";
import type { ProcessorLimits } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { HELD_STATES } from "@posthaste/shared/domain/delivery.ts";
import type { EmbeddedBounds, EmbeddedDrivers } from "@posthaste/shared/drivers/embedded.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { testHasher } from "../support/ambient.ts";
import type { Chance } from "./chance.ts";
import type { History } from "./history.ts";
import type { Trace } from "./trace.ts";
import type { ProcessClock } from "../support/clocks/virtual-clock.ts";
import type { CommitFate, Disk } from "./virtual-database.ts";
import type { Sender } from "./virtual-network.ts";
import { noteMoved } from "./history.ts";
import { DeadProcess } from "./virtual-database.ts";

export interface SimulatedProcess extends Sender {
  readonly startedAtMs: number;
  readonly drivers: EmbeddedDrivers;
  /** False while its directory cannot be read: an endpoint is for it what it was before. */
  readonly readsDirectory: () => boolean;
  /** How it ended, and when; null while it lives. */
  readonly end: () => { readonly kind: "crash" | "stop"; readonly atMs: number; readonly outstanding: number } | null;
  fetch(request: Request): Promise<Response>;
  kill(why: string): void;
  /** As on SIGTERM: new connections are refused, what runs is ended, what is unfinished handed back. */
  stop(): Promise<void>;
  isAccepting(): boolean;
  /** Its timers, in ms from now. */
  pendingMs(): readonly number[];
  stepWall(ms: number): void;
  /** Called when it ended, either way. */
  onEnd(listener: () => void): void;
}

export interface ProcessParts {
  readonly index: number;
  readonly clock: ProcessClock;
  /** The world's own time, by which what happened is told. */
  readonly worldNow: () => number;
  readonly chance: Chance;
  readonly disk: Disk;
  readonly sealer: Sealer;
  readonly limits: ProcessorLimits;
  readonly bounds: EmbeddedBounds;
  readonly gatewayLimits: GatewayLimits;
  readonly trace: Trace;
  readonly history: History;
  readonly transportFor: (sender: Sender) => Transport;
  readonly fateOfCommit: () => CommitFate;
}

type TracedParts = Pick<ProcessParts, "trace" | "index" | "worldNow"> & {
  readonly history: Pick<History, "movedAtMs"> & Partial<Pick<History, "deferrals">>;
};

export function startProcess(parts: ProcessParts): SimulatedProcess {
  const { index, clock, trace } = parts;
  const listeners: (() => void)[] = [];
  let ended: ReturnType<SimulatedProcess["end"]> = null;
  let isAccepting = true;
  let isReady = false;
  let requestsOpen = 0;
  const isAlive = (): boolean => ended === null;
  const sender: Sender = { index, isAlive, now: () => clock.now() };

  function end(kind: "crash" | "stop", why: string): void {
    if (ended !== null) return;
    ended = { kind, atMs: parts.worldNow(), outstanding: made?.processor.outstanding() ?? 0 };
    isAccepting = false;
    trace.note(`p${index} ${kind === "crash" ? "killed" : "stopped"}: ${why} (${ended.outstanding} outstanding)`);
    clock.kill();
    for (const listener of listeners) listener();
  }

  let made: ReturnType<typeof assemble> | null = null;
  const database = parts.disk.forProcess({
    isAlive,
    die: (why) => end("crash", why),
    fateOfCommit: () => (isReady ? parts.fateOfCommit() : "commit"),
  });
  made = assemble(parts, database, parts.transportFor(sender), isAlive);
  isReady = true;
  const { drivers, processor, gateway, readsDirectory } = made;
  trace.note(`p${index} started`);

  async function drainRequests(): Promise<void> {
    const never = new AbortController().signal;
    for (;;) {
      if (requestsOpen === 0) return;
      await clock.sleep(10, never);
    }
  }

  return {
    ...sender,
    stepWall: (ms) => {
      trace.note(`p${index} has its clock set by ${ms} ms`);
      clock.stepWall(ms);
    },
    startedAtMs: parts.worldNow(),
    drivers,
    readsDirectory,
    end: () => ended,
    isAccepting: () => isAccepting,
    async fetch(request) {
      requestsOpen++;
      try {
        return await gateway.fetch(request);
      } finally {
        requestsOpen--;
      }
    },
    kill: (why) => end("crash", why),
    async stop() {
      isAccepting = false;
      trace.note(`p${index} stopping`);
      await drainRequests();
      await processor.stop();
      await drivers[Symbol.asyncDispose]();
      if (!isAlive()) return;
      const left = clock.pendingMs();
      if (left.length > 0)
        trace.violation("idle", `timers left by a process that stopped, due in ${left.join(", ")} ms`);
      end("stop", "gracefully");
    },
    pendingMs: () => clock.pendingMs(),
    onEnd: (listener) => void listeners.push(listener),
  };
}

function assemble(parts: ProcessParts, database: DatabaseSync, transport: Transport, isAlive: () => boolean) {
  const { clock, chance, sealer, limits, bounds, trace } = parts;
  const { entropy } = chance;
  const hasher = testHasher;
  // A write that the death of the process breaks off is no fault, nor is a disk that fails for a while.
  const onFault = (error: unknown): void => {
    if (!isExpected(error)) trace.violation("no crash inside", `a listener threw ${String(error)}`);
  };
  const drivers = openEmbedded({ clock, entropy, hasher, sealer, database, bounds, onFault });
  const telemetry = tracingTelemetry(parts, isAlive);
  const { directory, readsDirectory } = blinkingDirectory(drivers.directory, parts);
  const blinking = { ...drivers, directory };
  const processor = startProcessor({ drivers: blinking, transport, clock, entropy, hasher, telemetry, limits });
  const collectMetrics = (): Promise<string> => Promise.resolve("");
  const gatewayDeps = { drivers, transport, clock, entropy, hasher, telemetry, collectMetrics };
  const gateway = createGateway({ ...gatewayDeps, limits: parts.gatewayLimits });
  return { drivers, processor, gateway, readsDirectory };
}

/** Most waits before a directory cannot be read, and most times that it cannot, in ms. */
const BLINK_AFTER_MS = 20_000;
const BLINK_MS = 30_000;

/** A directory that cannot be read for a while, and says so at once: nothing may go round without a wait meanwhile. */
function blinkingDirectory(directory: Directory, { worldNow, chance, trace, index, history }: ProcessParts) {
  if (!chance.isTrue(0.25)) return { directory, readsDirectory: () => true };
  const fromMs = worldNow() + chance.magnitude(1, BLINK_AFTER_MS);
  const untilMs = fromMs + chance.magnitude(1, BLINK_MS);
  trace.note(`p${index} cannot read the directory from ${fromMs} to ${untilMs}`);
  history.blinks.push({ fromMs, toMs: untilMs });
  // What was put aside comes back after a wait that grew with the time it was away.
  history.downs.push({ fromMs, toMs: untilMs + 2 * (untilMs - fromMs) + 2000 });
  const isAway = (): boolean => worldNow() >= fromMs && worldNow() < untilMs;
  const blinking: Directory = {
    ...directory,
    peek: (tenant, atLeast) => (isAway() ? null : directory.peek(tenant, atLeast)),
    endpoints: (tenant, atLeast) =>
      isAway()
        ? Promise.reject(new PosthasteError("store-unavailable", "The directory cannot be read now."))
        : directory.endpoints(tenant, atLeast),
  };
  return { directory: blinking, readsDirectory: () => !isAway() };
}

/** Writes the product's own events into the trace; what speaks of a bug is a violation. */
export function tracingTelemetry({ trace, index, history, worldNow }: TracedParts, isAlive: () => boolean): Telemetry {
  const mark = `p${index}`;
  return {
    ...silentTelemetry,
    delivery: {
      ...silentTelemetry.delivery,
      settled: ({ eventId, endpointId, attempt }, { state, reason }) => {
        trace.note(
          `${mark} ${state} ${eventId} at ${endpointId} after attempt ${attempt}${reason === null ? "" : `: ${reason}`}`,
        );
        if (HELD_STATES.some((held) => held === state)) noteMoved(history, endpointId, eventId, worldNow());
      },
      deferred: ({ eventId, endpointId }, why, delayMs) => {
        trace.note(`${mark} parked ${eventId} at ${endpointId}: ${why}, ${delayMs} ms`);
        history.deferrals?.set(`${endpointId} ${eventId}`, { atMs: worldNow(), processIndex: index });
        noteMoved(history, endpointId, eventId, worldNow());
      },
      repeatSkipped: ({ eventId, endpointId, attempt }) =>
        trace.note(`${mark} repeat skipped ${eventId} at ${endpointId} attempt ${attempt}`),
    },
    endpoint: {
      ...silentTelemetry.endpoint,
      breaker: (endpointId, state) => trace.note(`${mark} breaker ${state} ${endpointId}`),
      disabled: (endpointId, _tenant, reason) => trace.note(`${mark} disabled ${endpointId}: ${reason}`),
      recovered: (endpointId, _tenant, count) => trace.note(`${mark} recovered ${endpointId}: ${count}`),
    },
    queue: {
      ...silentTelemetry.queue,
      loopFailed: (loop, error) => {
        trace.note(`${mark} loop failed: ${loop}: ${String(error)}`);
        if (!isExpected(error)) trace.violation("no crash inside", `${loop}: ${String(error)}`);
      },
    },
    log: {
      isEnabled: () => true,
      write: (_level, event, fields) => {
        if (event === "request.crashed" && isAlive()) trace.violation("no crash inside", JSON.stringify(fields));
      },
    },
  };
}

/** The store may be out of order for a while; everything else that ends a loop is a bug. */
export function isExpected(error: unknown): boolean {
  if (error instanceof DeadProcess) return true;
  return (
    error instanceof Error && "code" in error && (error.code === "store-unavailable" || error.code === "overloaded")
  );
}

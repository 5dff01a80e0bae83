/**
 * One gateway or processor of a simulated fleet: the real program over the distributed set, on the virtual Redis, the log
 * in memory, the virtual clock and network. A kill takes everything but what those two hold and what is on the wire.
 */
import { createGateway } from "@posthaste/gateway/app.ts";
import type { GatewayLimits } from "@posthaste/gateway/request/deps.ts";
import { createInitializer } from "@posthaste/processor/initializer.ts";
import type { ProcessorLimits } from "@posthaste/processor/limits.ts";
import type { Processor } from "@posthaste/processor/processor.ts";
import { watchLeftBehind } from "@posthaste/processor/recovery/left-behind.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import type { DistributedDrivers } from "@posthaste/shared/drivers/distributed.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { composeDistributed } from "@posthaste/shared/drivers/distributed.ts";
import type { StoreBounds } from "@posthaste/shared/drivers/distributed/store-bounds.ts";
import { createStores } from "@posthaste/shared/drivers/distributed/stores.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import { testHasher } from "../../support/ambient.ts";
import { createModelCommands } from "../../support/redis-model/model-commands.ts";
import type { Door } from "../api-client.ts";
import type { Chance } from "../chance.ts";
import { isExpected, tracingTelemetry } from "../simulated-process.ts";
import type { Trace } from "../trace.ts";
import type { ProcessClock } from "../../support/clocks/virtual-clock.ts";
import type { Sender } from "../virtual-network.ts";
import type { LimitInvariants } from "./limit-invariants.ts";
import type { VirtualRedis } from "./virtual-redis.ts";

export type FleetKind = "gateway" | "processor";

export interface FleetProcess extends Sender, Door {
  readonly kind: FleetKind;
  /** Null until its stores are open. */
  readonly drivers: () => DistributedDrivers | null;
  /** Takes requests, or reads everything. */
  isReady(): boolean;
  isStopping(): boolean;
  /** Items that its processor has taken and not yet settled. */
  outstanding(): number;
  kill(why: string): void;
  stepWall(ms: number): void;
  /** As on SIGTERM, and SIGKILL when that takes too long. */
  stop(): Promise<void>;
}

export interface FleetProcessParts {
  readonly index: number;
  readonly kind: FleetKind;
  readonly clock: ProcessClock;
  readonly worldNow: () => number;
  readonly chance: Chance;
  readonly redis: VirtualRedis;
  readonly shards: number;
  /** All of its kind, as `GATEWAY_COUNT` and `PROCESSOR_COUNT` say. */
  readonly count: number;
  /** Does the log show that the fleet was in use before? */
  readonly wasUsed: (log: MemoryLog) => Promise<boolean>;
  readonly rateLimits: Pick<LimitInvariants, "noteLocal">;
  readonly partitionLog: MemoryLog;
  readonly sealer: Sealer;
  readonly limits: ProcessorLimits;
  readonly bounds?: StoreBounds;
  readonly gatewayLimits: GatewayLimits;
  readonly trace: Trace;
  readonly movedAtMs: Map<string, number[]>;
  readonly transportFor: (sender: Sender) => Transport;
}

/** What an orchestrator gives a program to end in. */
const STOP_MS_MAX = 60_000;

interface Made {
  readonly drivers: DistributedDrivers;
  readonly gateway: ReturnType<typeof createGateway> | null;
  readonly opened: AsyncDisposableStack;
  processor: Processor | null;
}

export function startFleetProcess(parts: FleetProcessParts): FleetProcess {
  const { index, kind, clock, trace } = parts;
  const partitionLog = parts.partitionLog.forProcess(clock);
  const listeners: (() => void)[] = [];
  const stopping = new AbortController();
  let isOver = false;
  let requestsOpen = 0;
  let made: Made | null = null;
  const isAlive = (): boolean => !isOver;
  const sender: Sender = { index, isAlive, now: () => clock.now() };

  function end(how: string): void {
    if (isOver) return;
    isOver = true;
    trace.note(`p${index} ${kind} ${how} (${made?.processor?.outstanding() ?? 0} outstanding)`);
    clock.kill();
    partitionLog.crash();
    for (const listener of listeners) listener();
  }

  async function start(): Promise<void> {
    const own = await assemble(parts, partitionLog, sender);
    made = own;
    if (kind === "processor") await run(parts, own, sender, stopping.signal);
    else trace.note(`p${index} gateway ready`);
  }

  trace.note(`p${index} ${kind} starts`);
  const started = start();
  started.catch((error: unknown) => {
    if (!isExpected(error)) trace.violation("no crash inside", `start of p${index}: ${String(error)}`);
    end(`could not start: ${String(error)}`);
  });
  return {
    ...sender,
    kind,
    stepWall: (ms) => {
      trace.note(`p${index} has its clock set by ${ms} ms`);
      clock.stepWall(ms);
    },
    drivers: () => made?.drivers ?? null,
    isReady: () => isAlive() && (kind === "gateway" ? made !== null : made?.processor != null),
    isStopping: () => stopping.signal.aborted,
    outstanding: () => made?.processor?.outstanding() ?? 0,
    async fetch(request) {
      const gateway = made?.gateway;
      if (gateway == null) throw new Error("only a gateway that is ready is asked");
      requestsOpen++;
      try {
        return await gateway.fetch(request);
      } finally {
        requestsOpen--;
      }
    },
    kill: (why) => end(`killed: ${why}`),
    async stop() {
      if (stopping.signal.aborted) return;
      stopping.abort();
      trace.note(`p${index} ${kind} stopping`);
      clock.timer(STOP_MS_MAX, () => end("killed: its stop took too long"));
      await untilNone(clock, () => requestsOpen);
      await started.catch(() => undefined);
      await made?.processor?.stop();
      await made?.opened.disposeAsync();
      end("stopped");
    },
    onEnd: (listener) => void listeners.push(listener),
  };
}

async function untilNone(clock: ProcessClock, count: () => number): Promise<void> {
  const never = new AbortController().signal;
  while (count() > 0) await clock.sleep(10, never);
}

async function run(parts: FleetProcessParts, own: Made, sender: Sender, stopping: AbortSignal): Promise<void> {
  const { index, clock, trace } = parts;
  const initializer = createInitializer({
    steps: own.drivers.steps,
    clock,
    entropy: parts.chance.entropy,
    onFailure: (step, error) => trace.note(`p${index} ${step}: ${String(error)}`),
  });
  await initializer.run(stopping);
  if (stopping.aborted) return;
  const processor = startProcessor(processorDeps(parts, own.drivers, sender));
  own.processor = processor;
  own.opened.use(watchLeftBehind({ clock, recoverLeft: () => processor.recoverLeft() }));
  trace.note(`p${index} processor ready`);
}

function processorDeps(parts: FleetProcessParts, drivers: DistributedDrivers, sender: Sender) {
  const { clock, chance, limits } = parts;
  const telemetry = tracingTelemetry({ ...parts, history: parts }, sender.isAlive);
  const transport = parts.transportFor(sender);
  return { drivers, transport, clock, entropy: chance.entropy, hasher: testHasher, telemetry, limits };
}

async function assemble(parts: FleetProcessParts, partitionLog: MemoryLog, sender: Sender): Promise<Made> {
  const { index, kind, clock, chance, redis, trace, sealer } = parts;
  const opened = new AsyncDisposableStack();
  const onFault = (error: unknown): void => {
    trace.note(`p${index} fault: ${String(error)}`);
    if (!isExpected(error)) trace.violation("no crash inside", `p${index}: ${String(error)}`);
  };
  let lost = 0;
  const onLost = (count: number): void => {
    lost += count;
    trace.note(`p${index} lost ${count} entries`);
  };
  const link = redis.linkFor({ index, clock, isAlive: sender.isAlive });
  const commands = createModelCommands({ model: redis.model, link, clock });
  const place = { commands, keys: createKeySpace({ shards: parts.shards }) };
  const stores = opened.use(
    await createStores({
      main: place,
      cache: place,
      clock,
      entropy: chance.entropy,
      sealer,
      bounds: parts.bounds ?? {},
      isReachable: () => link.isReachable(),
      cacheLine: { isReachable: () => link.isReachable(), isConnected: () => true },
      onFault,
      onCacheFault: onFault,
      limits: {
        processes: parts.count,
        events: { ...silentTelemetry.limit, decided: () => parts.rateLimits.noteLocal(index) },
      },
      onCache: () => undefined,
      onLost,
      wasUsed: () => parts.wasUsed(partitionLog),
    }),
  );
  const drivers = opened.use(
    composeDistributed({
      partitionLog,
      stores,
      clock,
      entropy: chance.entropy,
      role: kind,
      onFault,
      onQuarantined: () => undefined,
      onLost,
      lostCount: () => lost,
    }),
  );
  const deps = { ...processorDeps(parts, drivers, sender), collectMetrics: () => Promise.resolve("") };
  const gateway = kind === "gateway" ? createGateway({ ...deps, limits: parts.gatewayLimits }) : null;
  return { drivers, gateway, opened, processor: null };
}

/**
 * A processor under test: the real pipeline on the real embedded drivers over a database in memory, with time by hand
 * and a scripted world behind the transport. Several processes may live on one database, one after the other.
 */
import { DatabaseSync } from "node:sqlite";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createRateLimiter } from "@posthaste/shared/drivers/memory/rate-limiter.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { assert, unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import type { RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";
import type { DeliveryRequest, Transport } from "@posthaste/shared/ports/transport.ts";
import { createNoopMeter } from "@opentelemetry/api";
import { createTraceTelemetry } from "@posthaste/shared/telemetry/trace.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { EndpointLimiters } from "@posthaste/processor/endpoint/limiters.ts";
import { createEndpointLimiters } from "@posthaste/processor/endpoint/limiters.ts";
import { createLowWaiting } from "@posthaste/processor/endpoint/low-waiting.ts";
import type { EndpointLookup } from "@posthaste/processor/endpoint/lookup.ts";
import type { ProcessorLimits } from "@posthaste/processor/limits.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import type { PendingDelivery } from "@posthaste/processor/delivery/pending-delivery.ts";
import type { Processor } from "@posthaste/processor/processor.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { seededEntropy, testHasher } from "./ambient.ts";
import type { ManualClock, ProcessClock } from "./clocks/manual-clock.ts";
import { createManualClock } from "./clocks/manual-clock.ts";
import { START_MS, TENANT, answered, deliveryOf, endpointOf, envelopeOf, faulted } from "./samples.ts";

const SEALER = createSealer(new Uint8Array(32).fill(7));

/** What a receiver does with one request; `hang` outlasts every deadline. */
export type Reply =
  | { readonly status: number; readonly afterMs?: number; readonly retryAfter?: string }
  | "hang"
  /** No name server answers for its host within this time: nothing is sent. */
  | { readonly unresolvedAfterMs: number }
  /** This machine has no socket left: nothing is sent. */
  | "exhausted";

export interface Sent {
  /** The host's first label, which is the endpoint's id. */
  readonly endpointId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly atMs: number;
}

export interface World {
  readonly sent: readonly Sent[];
  /** How the receiver of an endpoint answers from now on; unscripted ones answer 200 after 10 ms. */
  script(endpointId: string, reply: (request: Sent, count: number) => Reply): void;
  /** The `webhook-id` of each request to the endpoint, in order. */
  idsTo(endpointId: string): string[];
  inFlightTo(endpointId: string): number;
  transportOf(clock: Clock): Pick<Transport, "send">;
}

function createWorld(): World {
  const sent: Sent[] = [];
  const scripts = new Map<string, (request: Sent, count: number) => Reply>();
  const inFlight = new Map<string, number>();
  const to = (endpointId: string) => sent.filter((request) => request.endpointId === endpointId);

  async function exchange(clock: Clock, request: DeliveryRequest, signal: AbortSignal): Promise<AttemptResult> {
    const endpointId = new URL(request.url).hostname.split(".")[0] ?? "";
    const seen = {
      endpointId,
      headers: request.headers,
      body: new TextDecoder().decode(request.body),
      atMs: clock.now(),
    };
    const reply = scripts.get(endpointId)?.(seen, to(endpointId).length + 1) ?? { status: 200 };
    if (reply === "exhausted") return faulted("exhausted");
    if (typeof reply === "object" && "unresolvedAfterMs" in reply) return lookUp(clock, request, reply);
    sent.push(seen);
    const afterMs = reply === "hang" ? Infinity : (reply.afterMs ?? 10);
    try {
      await clock.sleep(Math.min(afterMs, request.timeoutMs), signal);
    } catch {
      return faulted("aborted");
    }
    if (reply === "hang" || afterMs > request.timeoutMs) return faulted("timeout");
    return answered(reply.status, {
      durationMs: afterMs,
      ...(reply.retryAfter === undefined ? {} : { retryAfter: reply.retryAfter }),
    });
  }

  return {
    sent,
    script: (endpointId, reply) => void scripts.set(endpointId, reply),
    idsTo: (endpointId) => to(endpointId).map(({ headers }) => headers["webhook-id"] ?? ""),
    inFlightTo: (endpointId) => inFlight.get(endpointId) ?? 0,
    transportOf: (clock) => ({
      async send(request, signal) {
        const endpointId = new URL(request.url).hostname.split(".")[0] ?? "";
        inFlight.set(endpointId, (inFlight.get(endpointId) ?? 0) + 1);
        const result = await exchange(clock, request, signal);
        inFlight.set(endpointId, (inFlight.get(endpointId) ?? 0) - 1);
        return result;
      },
    }),
  };
}

/** Ends with a stop at once, as the transport's port promises. */
async function lookUp(
  clock: Clock,
  { stopping }: DeliveryRequest,
  { unresolvedAfterMs }: { readonly unresolvedAfterMs: number },
): Promise<AttemptResult> {
  const isStopped = await clock.sleep(unresolvedAfterMs, stopping).then(
    () => false,
    () => true,
  );
  return faulted(isStopped ? "aborted" : "resolver");
}

export interface ProcessorHarness extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly world: World;
  /** Of the process that lives now. */
  readonly drivers: Drivers;
  /** Starts a processor in the process that lives now; `wrap` may stand between it and the drivers. */
  start(parts?: { limits?: Partial<ProcessorLimits>; wrap?: (drivers: Drivers) => Drivers }): Processor;
  /** Lets time pass until the processor has stopped; gives the ms that took. */
  stop(processor: Processor): Promise<number>;
  /** The process dies without a word, and another one opens the same data; nothing is started in it. */
  crash(): void;
  add(...endpoints: readonly Endpoint[]): Promise<void>;
  change(endpointId: string, parts: Partial<Endpoint>): Promise<void>;
  publish(...envelopes: readonly Envelope[]): Promise<void>;
  delivery(eventId: string, endpointId: string): Promise<DeliveryView | null>;
  /** Items that the queues still hold, by queue. */
  depths(): Promise<Record<Lane | "retry" | "dead", number>>;
}

export async function openProcessorHarness(): Promise<ProcessorHarness> {
  const clock = createManualClock(START_MS);
  const world = createWorld();
  const database = new DatabaseSync(":memory:");
  let processClock = wholeMs(clock.forProcess());
  const entropy = seededEntropy(1);
  const open = () => openEmbedded({ clock: processClock, entropy, hasher: testHasher, sealer: SEALER, database });
  let drivers = open();

  return {
    clock,
    world,
    get drivers() {
      return drivers;
    },
    start({ limits = {}, wrap = (own: Drivers) => own } = {}) {
      return startProcessor({
        drivers: wrap(drivers),
        transport: world.transportOf(processClock),
        clock: processClock,
        entropy,
        hasher: testHasher,
        telemetry: {
          ...silentTelemetry,
          trace: createTraceTelemetry({
            meter: createNoopMeter(),
            clock: processClock,
            entropy,
            spans: null,
          }),
        },
        limits: { ...PROCESSOR_LIMITS, ...limits },
      });
    },
    stop: (processor) =>
      elapsedMs(
        clock,
        processor.stop().then(() => undefined),
      ),
    crash() {
      processClock.kill();
      processClock = wholeMs(clock.forProcess());
      drivers = open();
    },
    async add(...endpoints) {
      for (const endpoint of endpoints) await drivers.directory.create(endpoint);
    },
    async change(endpointId, parts) {
      await drivers.directory.update(TENANT, endpointId, (endpoint) => ({ ...endpoint, ...parts }));
    },
    publish: (...envelopes) => drivers.lanes.append(envelopes),
    async delivery(eventId, endpointId) {
      const { rows } = await drivers.ledger.deliveries({ tenant: TENANT, eventId, endpointId }, 10, null);
      return rows[0] ?? null;
    },
    async depths() {
      const [high, medium, low] = await Promise.all(LANES.map(async (lane) => (await drivers.lanes.depth(lane)).count));
      const retry = (await drivers.retryQueue.depth()).count;
      const dead = await drivers.deadLetters.count({ tenant: null });
      return { high: high ?? 0, medium: medium ?? 0, low: low ?? 0, retry, dead };
    },
    async [Symbol.asyncDispose]() {
      await drivers[Symbol.asyncDispose]();
      processClock.kill();
      database.close();
    },
  };
}

/** Time of day in whole milliseconds, as real clocks tell it, also after a jittered wait of a fraction. */
function wholeMs(clock: ProcessClock): ProcessClock {
  return { ...clock, now: () => Math.floor(clock.now()) };
}

/** Lets time pass until the promise is settled, at most an hour; gives the ms that took, to 10 ms. */
export async function elapsedMs(clock: ManualClock, promise: Promise<void>): Promise<number> {
  const state = { isSettled: false };
  const settled = promise.finally(() => {
    state.isSettled = true;
  });
  const startedAtMs = clock.monotonic();
  await clock.settle();
  while (!state.isSettled && clock.monotonic() - startedAtMs < 3_600_000) await clock.advance(10);
  assert(state.isSettled, "it ends within an hour");
  await settled;
  return clock.monotonic() - startedAtMs;
}

/** A slot that was granted, and the way to leave it. */
export interface Launched {
  readonly id: string;
  readonly endpointId: string;
  readonly lane: Lane;
  readonly atMs: number;
  end(result: AttemptResult): void;
}

/** The endpoint limiters alone, with attempts that end when the test says so. */
export interface LimiterHarness {
  readonly limiters: EndpointLimiters;
  readonly clock: ManualClock;
  readonly launched: Launched[];
  readonly deferred: { readonly delivery: PendingDelivery; readonly why: string; readonly afterMs: number }[];
  readonly overflowed: string[];
  readonly recovered: string[];
  /** How deliveries ended that were not deferred: `settled <id>`, `inactive <id>`, `back <id>`. */
  readonly told: string[];
  /** Resolves when all that goes at once has gone. */
  submit(
    eventIds: readonly string[],
    lane?: Lane,
    endpoint?: Endpoint,
    parts?: Partial<PendingDelivery>,
  ): Promise<void>;
  /** Ends the oldest `count` attempts that have not ended, and lets the limiter act on it. */
  end(result: AttemptResult, count?: number): Promise<void>;
  inFlight(): readonly Launched[];
}

/** The directory does not answer, so that an endpoint is as it was when its delivery came. */
const noDirectory: EndpointLookup = { peek: () => undefined, find: () => new Promise(() => undefined) };

/** A directory whose memory is this map, by endpoint id. */
export function lookupIn(endpoints: ReadonlyMap<string, Endpoint>): EndpointLookup {
  const peek = (_tenant: string, id: string): Endpoint | null => endpoints.get(id) ?? null;
  return { peek, find: (tenant, id) => Promise.resolve(peek(tenant, id)) };
}

export function openLimiters(
  parts: {
    limits?: Partial<ProcessorLimits>;
    lookup?: EndpointLookup;
    rateLimiter?: Pick<RateLimiter, "take">;
    recall?: RetryQueue["recall"];
  } = {},
): LimiterHarness {
  const clock = createManualClock(START_MS);
  const flying: Launched[] = [];
  const seen = {
    launched: [] as Launched[],
    deferred: [] as LimiterHarness["deferred"],
    overflowed: [] as string[],
    recovered: [] as string[],
    told: [] as string[],
  };
  const limiters = createEndpointLimiters({
    clock,
    limits: { ...PROCESSOR_LIMITS, ...parts.limits },
    rateLimiter: parts.rateLimiter ?? createRateLimiter({ clock }),
    telemetry: silentTelemetry.endpoint,
    lookup: parts.lookup ?? noDirectory,
    lowWaiting: createLowWaiting(
      () => false,
      () => undefined,
    ),
    recall: parts.recall ?? (() => Promise.resolve(0)),
  });
  limiters.onRecovered((_tenant, endpointId) => void seen.recovered.push(endpointId));

  const enter = async (delivery: PendingDelivery, endpoint: Endpoint): Promise<void> => {
    const id = idOf(delivery);
    const entry = await limiters.enter(delivery, endpoint);
    switch (entry.kind) {
      case "go": {
        const end = (result: AttemptResult): void => {
          limiters.leave(entry.slot, result);
          seen.told.push(`settled ${id}`);
        };
        const launch = { id, endpointId: delivery.endpointId, lane: delivery.lane, atMs: clock.now() - START_MS, end };
        seen.launched.push(launch);
        flying.push(launch);
        return;
      }
      case "defer":
        return void seen.deferred.push({ delivery, why: entry.why, afterMs: entry.untilMs - clock.now() });
      case "overflow":
        return void seen.overflowed.push(id);
      case "given-up":
        return void seen.told.push(`given up ${id}`);
      case "inactive":
        return void seen.told.push(`inactive ${id}`);
      case "stopping":
        return void seen.told.push(`back ${id}`);
      default:
        return unreachable(entry);
    }
  };

  return {
    ...seen,
    clock,
    limiters,
    submit(eventIds, lane = "medium", endpoint = endpointOf("ep1"), given = {}) {
      for (const id of eventIds) void enter(deliveryOf(envelopeOf(id, lane), endpoint.id, given), endpoint);
      return clock.settle();
    },
    async end(result, count = 1) {
      for (const launch of flying.splice(0, count)) launch.end(result);
      await clock.settle();
    },
    inFlight: () => flying,
  };
}

function idOf(delivery: PendingDelivery): string {
  return delivery.members[0]?.id ?? "";
}

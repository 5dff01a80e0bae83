/**
 * One simulated fleet from its seed: gateways and processors on one Redis and one log, a fault phase in which everything of the
 * scenario happens, then calm until nothing is left to do, then the promises.
 */
import { topicSpecs } from "@posthaste/shared/drivers/distributed/topics.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Door } from "../api-client.ts";
import { createApiClient } from "../api-client.ts";
import { addSlots, API_KEY, noteGone, operatorKey } from "../fixtures.ts";
import { createChains } from "../chains.ts";
import type { Chance } from "../chance.ts";
import { createChance } from "../chance.ts";
import type { Model } from "../model.ts";
import { slotOf } from "../model.ts";
import { heal, startOwners } from "../owner.ts";
import { startPublisher } from "../publisher.ts";
import type { Stepper } from "../stepper.ts";
import { createStepper, watchRejections } from "../stepper.ts";
import type { Trace } from "../trace.ts";
import { createTrace } from "../trace.ts";
import type { VirtualClock } from "../../support/clocks/virtual-clock.ts";
import { createVirtualClock } from "../../support/clocks/virtual-clock.ts";
import type { VirtualNetwork } from "../virtual-network.ts";
import { createVirtualNetwork } from "../virtual-network.ts";
import type { WorldResult } from "../world.ts";
import { CLOCK_SEED, processClock } from "../world.ts";
import { createSlowBodies, gatewayLimitsFor } from "../slow-bodies.ts";
import { hasRecords } from "@posthaste/shared/drivers/distributed/has-records.ts";
import type { Disruptions } from "./disruptions.ts";
import { createDisruptions, FELT_MS } from "./disruptions.ts";
import { createEmptyings } from "./emptyings.ts";
import type { FleetWitness } from "./fleet-invariants.ts";
import { checkFleetEnd, createFleetSendInvariants } from "./fleet-invariants.ts";
import { watchFleetNotices } from "./fleet-notices.ts";
import type { FleetKind, FleetProcess } from "./fleet-process.ts";
import { startFleetProcess } from "./fleet-process.ts";
import type { FleetScenario } from "./fleet-scenario.ts";
import { drawFleetScenario } from "./fleet-scenario.ts";
import type { LimitInvariants } from "./limit-invariants.ts";
import { createLimitInvariants } from "./limit-invariants.ts";
import type { LimitedKey } from "./limited-keys.ts";
import { recordOf } from "./limited-keys.ts";
import { runUntilQuiet } from "./quiet.ts";
import { restoreEndpoints, restoreKeys } from "./restoring.ts";
import type { VirtualRedis } from "./virtual-redis.ts";
import { createVirtualRedis } from "./virtual-redis.ts";

const START_MS = Date.UTC(2026, 0, 31, 12);
const STEPS_MAX = 2_000_000;
/** From a write until its owner has the answer. */
const ROUND_TRIP_MS = 100;
const TAIL_LINES = 80;
/** As long as an outage may have begun before. */
const OUTAGE_MS_MAX = 25_000;
/** Any numbers that are none of a seed, and by which the seeds that are kept for what they found draw nothing new. */
const LATE_SEED = 0x1a7e_0d02;
const LATEST_SEED = 0x1a7e_0d05;
const NOTICE_SEED = 0x1a7e_11e6;
const SEALER = createSealer(new Uint8Array(32).fill(7));
const KAFKA = {
  brokers: [],
  isTls: false,
  sasl: null,
  prefix: "",
  partitions: 1,
  replication: 1,
  minInSync: 1,
  retentionMs: 8 * 24 * 3600_000,
};

interface Fleet {
  readonly clock: VirtualClock;
  readonly trace: Trace;
  readonly chance: Chance;
  readonly scenario: FleetScenario;
  readonly model: Model;
  readonly witness: FleetWitness;
  readonly network: VirtualNetwork;
  readonly redis: VirtualRedis;
  readonly partitionLog: MemoryLog;
  readonly processes: FleetProcess[];
  readonly movedAtMs: Map<string, number[]>;
  readonly stepper: Stepper;
  readonly startMs: number;
  readonly clockChance: Chance;
  readonly rateLimits: LimitInvariants;
  readonly forgettings: Disruptions;
  /** Before the fault phase, and after it. */
  isCalm: boolean;
}

export async function runFleet(seed: number, options: { readonly linesKept?: number } = {}): Promise<WorldResult> {
  const fleet = createFleet(seed, options.linesKept ?? TAIL_LINES);
  const { trace, processes, model, network } = fleet;
  const endWatch = watchRejections(trace);
  try {
    await live(fleet);
  } catch (error) {
    trace.violation("no crash inside", error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    endWatch();
    fleet.isCalm = true;
    for (const process of processes) process.kill("the world ends");
  }
  return {
    seed,
    violations: trace.violations(),
    tail: trace.tail(),
    hash: trace.hash(),
    steps: fleet.stepper.count(),
    events: model.published.length,
    attempts: network.sends().length,
    processes: processes.length,
  };
}

function createTroubles() {
  return {
    disruptions: createDisruptions(FELT_MS),
    redisTroubles: createDisruptions(ROUND_TRIP_MS),
    otherTroubles: createDisruptions(FELT_MS),
    storeTroubles: createDisruptions(OUTAGE_MS_MAX),
    forgettings: createDisruptions(0),
  };
}

function createFleet(seed: number, linesKept: number): Fleet {
  const chance = createChance(seed);
  const [late, latest] = [createChance(seed ^ LATE_SEED), createChance(seed ^ LATEST_SEED)];
  const notices = createChance(seed ^ NOTICE_SEED);
  const scenario = drawFleetScenario({ chance: chance.fork(), late, latest, notices });
  const clock = createVirtualClock({ startMs: START_MS, chance: chance.fork() });
  const trace = createTrace({ now: () => clock.elapsedMs(), linesKept });
  const isForgotten: Model["isForgotten"] = (published) => emptyings.isForgotten(published);
  const model: Model = { published: [], slots: [], replays: [], cancels: [], isForgotten };
  const troubles = createTroubles();
  const { disruptions, redisTroubles, storeTroubles, forgettings } = troubles;
  const emptyings = createEmptyings({ now: () => clock.now(), startMs: START_MS, model, forgettings });
  const network: VirtualNetwork = createVirtualNetwork({
    clock,
    chance: chance.fork(),
    trace,
    receiverOf: (url) => slotOf(model, url)?.receiver ?? null,
    silences: scenario.silences,
    onSend(send) {
      const slot = slotOf(model, send.url);
      checkSend(send, slot);
      if (slot !== null) rateLimits.checkSend(send, slot);
    },
    onHeard: (send) => noteGone(model, send),
  });
  const rateLimits = createLimitInvariants({
    clock,
    trace,
    gateways: scenario.gateways,
    network: () => network,
    disruptions,
    redisAwaySinceMs: () => redis.awaySinceMs(),
  });
  const lossChance = chance.fork();
  const redis = createVirtualRedis({
    clock,
    chance: chance.fork(),
    isLost() {
      const isLost = !fleet.isCalm && lossChance.isTrue(scenario.lostCallRate);
      if (isLost) for (const each of [disruptions, redisTroubles, storeTroubles, forgettings]) each.note(clock.now());
      return isLost;
    },
    onCarriedOut(index) {
      if (witness.notices.isLast(clock.now()) && !fleet.isCalm) fleet.processes[index]?.kill("as it noted a notice");
    },
  });
  const witness: FleetWitness = {
    trace,
    model,
    chains: createChains(),
    limits: scenario.limits,
    clocks: scenario.clocks,
    ...troubles,
    emptyings,
    notices: watchFleetNotices(redis.model, scenario),
    network: () => network,
  };
  const checkSend = createFleetSendInvariants(witness);
  const fleet: Fleet = {
    clock,
    trace,
    chance,
    scenario,
    model,
    witness,
    network,
    redis,
    partitionLog: openMemoryLog({ clock, partitions: scenario.partitions }),
    processes: [],
    movedAtMs: new Map(),
    stepper: createStepper(clock, STEPS_MAX),
    startMs: START_MS,
    clockChance: createChance(seed ^ CLOCK_SEED),
    rateLimits,
    forgettings,
    isCalm: true,
  };
  addSlots(fleet);
  return fleet;
}

async function live(fleet: Fleet): Promise<void> {
  const { clock, chance, trace, scenario, model, stepper } = fleet;
  const { gateways, processors, partitions, shards, lostCallRate } = scenario;
  trace.note(`fleet ${JSON.stringify({ gateways, processors, partitions, shards, lostCallRate })}`);
  await stepper.settled(fleet.partitionLog.ensureTopics(topicSpecs(KAFKA)));
  for (let index = 0; index < gateways; index++) keepRunning(fleet, "gateway");
  for (let index = 0; index < processors; index++) keepRunning(fleet, "processor");
  const first = await stepper.settled(untilReady(fleet, "gateway"));
  const keys = [operatorKey(START_MS), ...scenario.limitedKeys.map((key) => recordOf(key, START_MS))];
  for (const key of keys) await stepper.settled(first.apiKeys.save(key));
  fleet.isCalm = false;
  const doorChance = chance.fork();
  const door = (): FleetProcess | null => {
    const open = fleet.processes.filter((each) => isOpen(each, "gateway"));
    return open.length === 0 ? null : doorChance.pick(open);
  };
  const isReplyLost = (): boolean => !fleet.isCalm && chance.isTrue(scenario.lostReplyRate);
  const clientChance = chance.fork();
  const actorChance = chance.fork();
  const bodies = createSlowBodies({ clock, chance: fleet.clockChance.fork(), trace, rate: scenario.slowBodyRate });
  const client = createApiClient({ clock, chance: clientChance, trace, apiKey: API_KEY, door, isReplyLost, bodies });
  const actor = { clock, chance: actorChance, client, trace, model };
  startPublisher(actor, scenario.publishes);
  const limited = scenario.limitedKeys.map((key) => {
    const ways = { clock, chance: fleet.clockChance.fork(), trace, apiKey: key.text, isReplyLost, bodies };
    const own = createApiClient({ ...ways, door: () => limitedDoor(fleet, key, door()) });
    startPublisher({ ...actor, client: own }, key.publishes);
    return own;
  });
  const openCount = (): number => [client, ...limited].reduce((sum, each) => sum + each.openCount(), 0);
  startOwners(actor, scenario);
  planTroubles(fleet);
  const untilMs = START_MS + scenario.stormMs;
  await stepper.runUntil(() => (clock.nextDueAtMs() ?? Infinity) > untilMs);
  calm(fleet);
  const isEmptied = fleet.witness.emptyings.count() > 0;
  if (isEmptied) await stepper.settled(restoreKeys(clock, keys, () => door()?.drivers()?.apiKeys ?? null));
  await stepper.runUntil(() => openCount() === 0 && door() !== null);
  const tenants = [...new Set([...scenario.slots, ...scenario.publishes].map(({ tenant }) => tenant))];
  if (isEmptied) await stepper.settled(restoreEndpoints(actor, tenants));
  if (scenario.isHealing) await stepper.settled(heal(actor));
  await runUntilQuiet({ ...fleet, emptyings: fleet.witness.emptyings });
  const drivers = door()?.drivers() ?? null;
  if (drivers === null) return trace.violation("idle", "no gateway lives at the end");
  await stepper.settled(checkFleetEnd(fleet.witness, drivers, clock.now()));
  const last = fleet.processes.filter((each) => each.isAlive());
  await stepper.settled(Promise.all(last.map((each) => each.stop())));
  if (last.some((each) => each.isAlive())) trace.violation("idle", "a process did not stop");
}

function limitedDoor({ rateLimits }: Fleet, key: LimitedKey, process: FleetProcess | null): Door | null {
  return process === null ? null : rateLimits.doorOf(key, process);
}

function calm(fleet: Fleet): void {
  fleet.isCalm = true;
  fleet.redis.setAway(false);
  fleet.partitionLog.setReachable(true);
  fleet.trace.note("calm");
}

const isOpen = (each: FleetProcess, kind: FleetKind): boolean =>
  each.kind === kind && each.isReady() && !each.isStopping();

async function untilReady({ clock, processes }: Fleet, kind: FleetKind) {
  const never = new AbortController().signal;
  for (;;) {
    const drivers = processes.find((each) => isOpen(each, kind))?.drivers();
    if (drivers != null) return drivers;
    await clock.sleep(5, never);
  }
}

/** A process that ends is followed by another. */
function keepRunning(fleet: Fleet, kind: FleetKind): void {
  const started = startNext(fleet, kind);
  started.onEnd(() => {
    const downMs = fleet.chance.magnitude(1, fleet.isCalm ? 100 : 5000);
    fleet.clock.timer(downMs, () => keepRunning(fleet, kind));
  });
}

function startNext(fleet: Fleet, kind: FleetKind, limits = fleet.scenario.limits): FleetProcess {
  const { clock, chance, scenario, network, processes, witness } = fleet;
  const note = (): void => {
    witness.disruptions.note(clock.now());
    witness.otherTroubles.note(clock.now());
  };
  const started = startFleetProcess({
    ...fleet,
    index: processes.length,
    kind,
    clock: processClock(fleet, processes.length),
    worldNow: () => clock.now(),
    chance: chance.fork(),
    gatewayLimits: gatewayLimitsFor(scenario.slowBodyRate),
    shards: scenario.shards,
    // Redis alone is found empty at the first start of all, too.
    wasUsed: (log) =>
      witness.emptyings.count() === 0
        ? Promise.resolve(false)
        : hasRecords(log, { clock, entropy: fleet.chance.entropy }),
    count: kind === "gateway" ? scenario.gateways : scenario.processors,
    limits,
    sealer: SEALER,
    transportFor: network.forProcess,
  });
  processes.push(started);
  if (processes.length > scenario.gateways + scenario.processors) note();
  started.onEnd(note);
  started.onEnd(() => {
    fleet.forgettings.note(clock.now());
    fleet.witness.emptyings.processEnded();
  });
  return started;
}

/** Not before the log has a record: whoever starts then cannot tell an emptied Redis from one that is new. */
async function empty(fleet: Fleet, awayMs: number): Promise<void> {
  const { clock, redis, witness, trace } = fleet;
  if (!(await hasRecords(fleet.partitionLog, { clock, entropy: fleet.chance.entropy }).catch(() => false))) return;
  if (fleet.isCalm) return;
  const note = (): void => [witness.disruptions, witness.redisTroubles].forEach((each) => each.note(clock.now()));
  note();
  if (awayMs > 0) redis.setAway(true);
  const lostCount = witness.emptyings.empty(redis.model);
  fleet.rateLimits.noteEmptied();
  trace.note(`Redis is emptied, and was alone to hold ${lostCount} events`);
  if (awayMs === 0) return;
  clock.timer(awayMs, () => {
    note();
    redis.setAway(false);
  });
}

function planTroubles(fleet: Fleet): void {
  const { clock, scenario, chance, redis, partitionLog, processes, witness, trace } = fleet;
  const at = (atMs: number, what: () => void, troubles = witness.otherTroubles): void =>
    void clock.timer(atMs, () => {
      if (fleet.isCalm) return;
      witness.disruptions.note(clock.now());
      troubles.note(clock.now());
      what();
    });
  const someone = (): FleetProcess | null => {
    const alive = processes.filter((each) => each.isAlive() && !each.isStopping());
    return alive.length === 0 ? null : chance.pick(alive);
  };
  for (const atMs of scenario.crashesAtMs) at(atMs, () => someone()?.kill("at its hour"));
  for (const atMs of scenario.stopsAtMs) at(atMs, () => void someone()?.stop());
  const plan = (
    name: string,
    spans: FleetScenario["redisAway"],
    troubles: Disruptions,
    set: (isAway: boolean) => void,
  ): void => {
    for (const { fromMs, toMs } of spans) {
      for (const isAway of [true, false]) {
        const change = (): void => {
          witness.storeTroubles.note(clock.now());
          trace.note(`${name} is ${isAway ? "away" : "back"}`);
          set(isAway);
        };
        at(isAway ? fromMs : toMs, change, troubles);
      }
    }
  };
  plan("Redis", scenario.redisAway, witness.redisTroubles, (isAway) => redis.setAway(isAway));
  for (const { atMs, awayMs } of scenario.emptyings) {
    clock.timer(atMs, () => void empty(fleet, awayMs));
  }
  plan("the log", scenario.logAway, witness.otherTroubles, (isAway) => partitionLog.setReachable(!isAway));
  for (const { atMs, byMs } of scenario.clocks.steps) clock.timer(atMs, () => someone()?.stepWall(byMs));
  for (const { fromMs, toMs } of scenario.visits) {
    at(fromMs, () => {
      const room = scenario.visitorsDie ? { backlogMax: 1 } : {};
      const visitor = startNext(fleet, "processor", { ...scenario.limits, ...room });
      const leave = (): void => (scenario.visitorsDie ? visitor.kill("its visit is over") : void visitor.stop());
      clock.timer(toMs - fromMs, leave);
    });
  }
  assert(processes.length > 0, "the fleet was started");
}

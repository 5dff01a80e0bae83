/**
 * One simulated world from its seed: a fault phase in which everything of the scenario happens, then calm until nothing is
 * left to do, then the promises. One callback runs at a time; between two all promises at hand settle, so that the
 * order of things depends on the seed alone.
 */
import { DatabaseSync } from "node:sqlite";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import { ALARM_MS_MAX } from "@posthaste/shared/lib/alarm.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Chance } from "./chance.ts";
import type { Model } from "./model.ts";
import type { Scenario } from "./scenario.ts";
import type { Witness } from "./send-invariants.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Trace } from "./trace.ts";
import type { ProcessClock, VirtualClock } from "../support/clocks/virtual-clock.ts";
import type { CommitFate } from "./virtual-database.ts";
import type { VirtualNetwork } from "./virtual-network.ts";
import type { Stepper } from "./stepper.ts";
import { createApiClient } from "./api-client.ts";
import { addSlots, API_KEY, noteGone, operatorKey } from "./fixtures.ts";
import { createChains } from "./chains.ts";
import { createChance } from "./chance.ts";
import { checkEnd, RETENTION_MS_MIN } from "./end-invariants.ts";
import { createHistory } from "./history.ts";
import { slotOf } from "./model.ts";
import { troublesOnDisk, watchNotices, withNotices } from "./notices.ts";
import { heal, startOwners } from "./owner.ts";
import { startPublisher } from "./publisher.ts";
import { drawScenario } from "./scenario.ts";
import { createSendInvariants } from "./send-invariants.ts";
import { startProcess } from "./simulated-process.ts";
import { createSlowBodies, gatewayLimitsFor } from "./slow-bodies.ts";
import { createStepper, watchRejections } from "./stepper.ts";
import { createTrace } from "./trace.ts";
import { createVirtualClock } from "../support/clocks/virtual-clock.ts";
import { createDisk } from "./virtual-database.ts";
import { createVirtualNetwork } from "./virtual-network.ts";

export interface WorldResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly tail: readonly string[];
  readonly hash: string;
  readonly steps: number;
  readonly events: number;
  readonly attempts: number;
  readonly processes: number;
}

const START_MS = Date.UTC(2026, 0, 31, 12);
const STEPS_MAX = 300_000;
/** Virtual time after the fault phase within which all is done: the default schedule takes some three days. */
const CALM_MS_MAX = 30 * 24 * 3600 * 1000;
/** No timer within this: the moment to look whether anything is left to do. */
const LULL_MS = 1000;
const TAIL_LINES = 80;
/** Nothing waits longer, or a step of the clock would be passed over; what is repeated each minute varies by half. */
const WAIT_MS_MAX = 1.5 * ALARM_MS_MAX;
/** Any number that is none of a seed. */
export const CLOCK_SEED = 0x5eed_c10c;
/** Any number with which the seeds that are kept are as they were. */
const NOTICE_SEED = 0x5eed_7045;
const SEALER = createSealer(new Uint8Array(32).fill(7));

interface World {
  readonly clock: VirtualClock;
  readonly trace: Trace;
  readonly chance: Chance;
  readonly scenario: Scenario;
  readonly model: Model;
  readonly witness: Witness;
  readonly network: VirtualNetwork;
  readonly processes: SimulatedProcess[];
  readonly disk: ReturnType<typeof createDisk>;
  readonly startMs: number;
  /** Of what was added late, so that it leaves the rest of each world as it was. */
  readonly clockChance: Chance;
  isCalm: boolean;
  readonly stepper: Stepper;
  commitCount: number;
  noticeCount: number;
}

export async function runWorld(seed: number, options: { readonly linesKept?: number } = {}): Promise<WorldResult> {
  const handle = new DatabaseSync(":memory:");
  const world = createWorld(seed, handle, options.linesKept ?? TAIL_LINES);
  const { trace, processes, model, network } = world;
  const endWatch = watchRejections(trace);
  try {
    await live(world);
  } catch (error) {
    trace.violation("no crash inside", error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    endWatch();
    processes.at(-1)?.kill("the world ends");
    handle.close();
  }
  return {
    seed,
    violations: trace.violations(),
    tail: trace.tail(),
    hash: trace.hash(),
    steps: world.stepper.count(),
    events: model.published.length,
    attempts: network.sends().length,
    processes: processes.length,
  };
}

function createWorld(seed: number, handle: DatabaseSync, linesKept: number): World {
  const chance = createChance(seed);
  const scenario = withNotices(drawScenario(chance.fork()), createChance(seed ^ NOTICE_SEED));
  const clock = createVirtualClock({ startMs: START_MS, chance: chance.fork() });
  const trace = createTrace({ now: () => clock.elapsedMs(), linesKept });
  const model: Model = { published: [], slots: [], replays: [], cancels: [], isForgotten: () => false };
  const diskTroubles = scenario.diskTroubles.map(({ fromMs, toMs }) => ({
    fromMs: START_MS + fromMs,
    toMs: START_MS + toMs,
  }));
  const history = createHistory(diskTroubles);
  const processes: SimulatedProcess[] = [];
  const processOf = (index: number): SimulatedProcess => {
    const found = processes[index];
    assert(found !== undefined, "a sender is a process");
    return found;
  };
  const network: VirtualNetwork = createVirtualNetwork({
    clock,
    chance: chance.fork(),
    trace,
    receiverOf: (url) => slotOf(model, url)?.receiver ?? null,
    silences: scenario.silences,
    onSend: (send) => checkSend(send, slotOf(model, send.url)),
    onHeard: (send) => noteGone(model, send),
  });
  const chains = createChains();
  const witness: Witness = {
    trace,
    model,
    chains,
    history,
    limits: scenario.limits,
    hasSmallRetryQueue: scenario.bounds.retryQueue !== undefined,
    hasSmallLanes: scenario.bounds.lanes !== undefined,
    notices: watchNotices(troublesOnDisk(handle)),
    clocks: scenario.clocks,
    processOf,
    network: () => network,
  };
  const checkSend = createSendInvariants(witness);
  const disk = createDisk(handle);
  const world: World = {
    clock,
    trace,
    chance,
    scenario,
    model,
    witness,
    network,
    processes,
    disk,
    isCalm: false,
    stepper: createStepper(clock, STEPS_MAX),
    startMs: START_MS,
    clockChance: createChance(seed ^ CLOCK_SEED),
    commitCount: 0,
    noticeCount: 0,
  };
  addSlots(world);
  return world;
}

async function live(world: World): Promise<void> {
  const { clock, chance, trace, scenario, model } = world;
  const first = startNext(world);
  await world.stepper.settled(first.drivers.apiKeys.save(operatorKey(START_MS)));
  const door = (): SimulatedProcess | null =>
    world.processes.findLast((each) => each.isAlive() && each.isAccepting()) ?? null;
  const isReplyLost = (): boolean => !world.isCalm && chance.isTrue(scenario.lostReplyRate);
  const clientChance = chance.fork();
  const actorChance = chance.fork();
  const bodies = createSlowBodies({ clock, chance: world.clockChance.fork(), trace, rate: scenario.slowBodyRate });
  const client = createApiClient({ clock, chance: clientChance, trace, apiKey: API_KEY, door, isReplyLost, bodies });
  const actor = { clock, chance: actorChance, client, trace, model };
  startPublisher(actor, scenario.publishes);
  startOwners(actor, scenario);
  planEnds(world);
  planClocks(world);
  const untilMs = START_MS + scenario.stormMs;
  await world.stepper.runUntil(() => (clock.nextDueAtMs() ?? Infinity) > untilMs);
  world.isCalm = true;
  trace.note("calm");
  await world.stepper.runUntil(() => client.openCount() === 0 && door() !== null);
  if (scenario.isHealing) await world.stepper.settled(heal(actor));
  await runUntilQuiet(world, door);
  assert(world.commitCount > 0, "the virtual disk sees the commits");
  const last = door();
  if (last === null) return trace.violation("idle", "no process lives at the end");
  await world.stepper.settled(checkEnd(world.witness, last, clock.now()));
  await world.stepper.settled(last.stop());
  if (last.end() === null) trace.violation("idle", "the last process did not stop");
}

/** Runs until nothing waits anywhere but retention's own timer, or time and steps run out, which is a violation. */
async function runUntilQuiet(world: World, door: () => SimulatedProcess | null): Promise<void> {
  const { clock, trace } = world;
  const endMs = clock.now() + CALM_MS_MAX;
  for (;;) {
    const nextMs = clock.nextDueAtMs();
    const isLull = nextMs === null || nextMs - clock.now() >= LULL_MS;
    if (isLull && (await isQuiet(world, door()))) return;
    if (nextMs === null || nextMs > endMs || world.stepper.count() >= STEPS_MAX) {
      return trace.violation(
        "idle",
        `not quiet after ${world.stepper.count()} steps and ${Math.round((clock.now() - endMs + CALM_MS_MAX) / 1000)} s of calm`,
      );
    }
    await world.stepper.step();
  }
}

async function isQuiet(world: World, last: SimulatedProcess | null): Promise<boolean> {
  if (last === null || [...world.network.inFlight()].some(({ processIndex }) => processIndex === last.index))
    return false;
  // Whoever waits for a moment may have something to do; whoever polls is never quiet, and found out by that.
  if (last.pendingMs().some((ms) => ms < RETENTION_MS_MIN)) return false;
  const { lanes, retryQueue } = last.drivers;
  const depths = [...(await Promise.all(LANES.map((lane) => lanes.depth(lane)))), await retryQueue.depth()];
  return depths.every(({ count }) => count === 0);
}

function startNext(world: World): SimulatedProcess {
  const { clock, chance, trace, scenario, disk, network, witness, processes } = world;
  const index = processes.length;
  const death = scenario.commitDeaths[index];
  let commits = 0;
  const drawFate = (): CommitFate => {
    commits++;
    world.commitCount++;
    if (world.isCalm) return "commit";
    const nowMs = clock.now();
    const isFailing = witness.history.diskTroubles.some(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs);
    if (isFailing && chance.isTrue(0.7)) return "fail";
    if (death !== undefined && commits === death.afterCommits) return death.isAfter ? "die-after" : "die-before";
    return "commit";
  };
  const fateOfCommit = (): CommitFate => {
    const fate = drawFate();
    const isKept = fate === "commit" || fate === "die-after";
    const isNews = scenario.noticeDeaths.length > 0 && isKept && witness.notices.look(clock.now());
    const isLast = isNews && scenario.noticeDeaths[world.noticeCount++] === true;
    return isLast && !world.isCalm ? "die-after" : fate;
  };
  const transportFor = network.forProcess;
  const { limits, bounds } = scenario;
  const started = startProcess({
    index,
    clock: processClock(world, index),
    worldNow: () => clock.now(),
    chance: chance.fork(),
    gatewayLimits: gatewayLimitsFor(scenario.slowBodyRate),
    disk,
    sealer: SEALER,
    limits,
    bounds,
    trace,
    history: witness.history,
    transportFor,
    fateOfCommit,
  });
  processes.push(started);
  started.onEnd(() => {
    const end = started.end();
    if (end === null) return;
    const { history } = witness;
    history.ends.push(end);
    const downMs = chance.magnitude(1, world.isCalm ? 100 : 5000);
    history.downs.push({ fromMs: end.atMs, toMs: end.atMs + downMs });
    clock.timer(downMs, () => void startNext(world));
  });
  return started;
}

/** The clock of the next process: off by its own skew, and no wait of it may be longer than a minute and its jitter. */
export function processClock(
  {
    clock,
    clockChance,
    scenario,
    trace,
  }: Pick<World, "clock" | "clockChance" | "trace"> & {
    readonly scenario: Pick<Scenario, "clocks">;
  },
  index: number,
): ProcessClock {
  const { skewMsMax } = scenario.clocks;
  const onWait = (ms: number): void => {
    if (ms > WAIT_MS_MAX) trace.violation("no alarm beyond a minute", `p${index} waits ${ms} ms`);
  };
  return clock.forProcess({ skewMs: clockChance.whole(-skewMsMax, skewMsMax), onWait });
}

function planClocks({ clock, scenario, processes }: World): void {
  for (const { atMs, byMs } of scenario.clocks.steps) {
    clock.timer(atMs, () => processes.findLast((each) => each.isAlive())?.stepWall(byMs));
  }
}

function planEnds({ clock, scenario, processes, witness, isCalm }: World): void {
  for (const atMs of scenario.crashesAtMs) {
    clock.timer(atMs, () => processes.findLast((each) => each.isAlive())?.kill("at its hour"));
  }
  for (const atMs of scenario.stopsAtMs) {
    clock.timer(atMs, () => {
      const process = processes.findLast((each) => each.isAlive() && each.isAccepting());
      if (process === undefined || isCalm) return;
      const beganMs = clock.now();
      process.onEnd(() => witness.history.downs.push({ fromMs: beganMs, toMs: clock.now() }));
      void process.stop();
    });
  }
}

/**
 * One simulated world from its seed: a storm in which everything of the scenario happens, then calm until nothing is
 * left to do, then the promises. One callback runs at a time; between two all promises at hand settle, so that the
 * order of things depends on the seed alone.
 */
import { DatabaseSync } from "node:sqlite";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { testHasher } from "../support/ambient.ts";
import type { Chance } from "./chance.ts";
import type { Model } from "./model.ts";
import type { Scenario } from "./scenario.ts";
import type { Witness } from "./send-invariants.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Trace } from "./trace.ts";
import type { VirtualClock } from "./virtual-clock.ts";
import type { CommitFate } from "./virtual-database.ts";
import type { Send, VirtualNetwork } from "./virtual-network.ts";
import { createApiClient } from "./api-client.ts";
import { createChains } from "./chains.ts";
import { createChance } from "./chance.ts";
import { checkEnd, RETENTION_MS_MIN } from "./end-invariants.ts";
import { createHistory } from "./history.ts";
import { slotOf } from "./model.ts";
import { heal, startOwners } from "./owner.ts";
import { startPublisher } from "./publisher.ts";
import { createReceiver } from "./receivers.ts";
import { drawScenario } from "./scenario.ts";
import { createSendInvariants } from "./send-invariants.ts";
import { startProcess } from "./simulated-process.ts";
import { createTrace } from "./trace.ts";
import { createVirtualClock } from "./virtual-clock.ts";
import { createDisk, DeadProcess } from "./virtual-database.ts";
import { createVirtualNetwork } from "./virtual-network.ts";

export interface WorldResult {
  readonly seed: number;
  readonly breaches: readonly string[];
  readonly tail: readonly string[];
  readonly hash: string;
  readonly steps: number;
  readonly events: number;
  readonly attempts: number;
  readonly processes: number;
}

const START_MS = Date.UTC(2026, 0, 31, 12);
const STEPS_MAX = 300_000;
/** Virtual time after the storm within which all is done: the default schedule takes some three days. */
const CALM_MS_MAX = 30 * 24 * 3600 * 1000;
/** No timer within this: the moment to look whether anything is left to do. */
const LULL_MS = 1000;
const API_KEY = "simulated-operator-key-000000";
const TAIL_LINES = 80;
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
  isCalm: boolean;
  stepCount: number;
  commitCount: number;
}

export async function runWorld(seed: number, options: { readonly linesKept?: number } = {}): Promise<WorldResult> {
  const handle = new DatabaseSync(":memory:");
  const world = createWorld(seed, handle, options.linesKept ?? TAIL_LINES);
  const { trace, processes, model, network } = world;
  const endWatch = watchRejections(trace);
  try {
    await live(world);
  } catch (error) {
    trace.breach("no crash inside", error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    endWatch();
    processes.at(-1)?.kill("the world ends");
    handle.close();
  }
  return {
    seed,
    breaches: trace.breaches(),
    tail: trace.tail(),
    hash: trace.hash(),
    steps: world.stepCount,
    events: model.published.length,
    attempts: network.sends().length,
    processes: processes.length,
  };
}

function createWorld(seed: number, handle: DatabaseSync, linesKept: number): World {
  const chance = createChance(seed);
  const scenario = drawScenario(chance.fork());
  const clock = createVirtualClock({ startMs: START_MS, chance: chance.fork() });
  const trace = createTrace({ now: () => clock.elapsedMs(), linesKept });
  const model: Model = { published: [], slots: [], replays: [] };
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
    stepCount: 0,
    commitCount: 0,
  };
  addSlots(world);
  return world;
}

function addSlots(world: World): void {
  const { scenario, model, chance, trace } = world;
  scenario.slots.forEach((plan, index) => {
    const receiver = createReceiver({
      host: `r${index}.example`,
      chance: chance.fork(),
      kinds: scenario.faultKinds,
      isHealthy: plan.isHealthy,
      startMs: START_MS,
      stormMs: scenario.stormMs,
      isCalm: () => world.isCalm,
    });
    const url = `https://${receiver.host}/hooks`;
    const empty = {
      id: null,
      storedId: null,
      createdAtMs: null,
      secrets: [],
      hasUnknownSecret: false,
      done: [],
      goneAtMs: null,
    };
    model.slots.push({ ...plan, index, url, receiver, ...empty });
    trace.note(`receiver ${receiver.describe()}; ${JSON.stringify(plan)}`);
  });
}

function noteGone(model: Model, { url, heard }: Send): void {
  const slot = slotOf(model, url);
  if (slot !== null && heard?.result.kind === "answered" && heard.result.status === 410) slot.goneAtMs = heard.atMs;
}

async function live(world: World): Promise<void> {
  const { clock, chance, trace, scenario, model } = world;
  const first = startNext(world);
  await settled(world, first.drivers.keyRing.save(operatorKey()));
  const door = (): SimulatedProcess | null =>
    world.processes.findLast((each) => each.isAlive() && each.isAccepting()) ?? null;
  const isReplyLost = (): boolean => !world.isCalm && chance.isTrue(scenario.lostReplyRate);
  const client = createApiClient({ clock, chance: chance.fork(), trace, apiKey: API_KEY, door, isReplyLost });
  const actor = { clock, chance: chance.fork(), client, trace, model };
  startPublisher(actor, scenario.publishes);
  startOwners(actor, scenario);
  planEnds(world);
  const untilMs = START_MS + scenario.stormMs;
  await runUntil(world, () => (clock.nextDueAtMs() ?? Infinity) > untilMs);
  world.isCalm = true;
  trace.note("calm");
  await runUntil(world, () => client.openCount() === 0 && door() !== null);
  if (scenario.isHealing) await settled(world, heal(actor));
  await runUntilQuiet(world, door);
  assert(world.commitCount > 0, "the virtual disk sees the commits");
  const last = door();
  if (last === null) return trace.breach("idle", "no process lives at the end");
  await settled(world, checkEnd(world.witness, last, clock.now()));
  await settled(world, last.stop());
  if (last.end() === null) trace.breach("idle", "the last process did not stop");
}

/** Runs until nothing waits anywhere but retention's own timer, or time and steps run out, which is a breach. */
async function runUntilQuiet(world: World, door: () => SimulatedProcess | null): Promise<void> {
  const { clock, trace } = world;
  const endMs = clock.now() + CALM_MS_MAX;
  for (;;) {
    const nextMs = clock.nextDueAtMs();
    const isLull = nextMs === null || nextMs - clock.now() >= LULL_MS;
    if (isLull && (await isQuiet(world, door()))) return;
    if (nextMs === null || nextMs > endMs || world.stepCount >= STEPS_MAX) {
      return trace.breach(
        "idle",
        `not quiet after ${world.stepCount} steps and ${Math.round((clock.now() - endMs + CALM_MS_MAX) / 1000)} s of calm`,
      );
    }
    await step(world);
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

async function runUntil(world: World, isReached: () => boolean): Promise<void> {
  while (!isReached()) {
    if (world.stepCount >= STEPS_MAX) throw new Error("too many steps");
    if (!(await step(world))) throw new Error("nothing waits, and the world is not where it should be");
  }
}

/** The promise's outcome, with the world going on while it waits. */
async function settled<Value>(world: World, work: Promise<Value>): Promise<Value> {
  let isOver = false;
  const watched = work.finally(() => void (isOver = true));
  watched.catch(() => undefined);
  await yieldOnce();
  await runUntil(world, () => isOver);
  return await watched;
}

async function step(world: World): Promise<boolean> {
  world.stepCount++;
  try {
    if (!world.clock.step()) return false;
  } catch (error) {
    if (!(error instanceof DeadProcess)) throw error;
  }
  await yieldOnce();
  return true;
}

/** One turn of the real event loop: every promise at hand is settled before it comes. */
function yieldOnce(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function startNext(world: World): SimulatedProcess {
  const { clock, chance, trace, scenario, disk, network, witness, processes } = world;
  const index = processes.length;
  const death = scenario.commitDeaths[index];
  let commits = 0;
  const fateOfCommit = (): CommitFate => {
    commits++;
    world.commitCount++;
    if (world.isCalm) return "commit";
    const nowMs = clock.now();
    const isFailing = witness.history.diskTroubles.some(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs);
    if (isFailing && chance.isTrue(0.7)) return "fail";
    if (death !== undefined && commits === death.afterCommits) return death.isAfter ? "die-after" : "die-before";
    return "commit";
  };
  const transportFor = network.forProcess;
  const { limits, bounds } = scenario;
  const started = startProcess({
    index,
    clock: clock.forProcess(),
    chance: chance.fork(),
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

function operatorKey() {
  return {
    id: "key_00000000000000000000000000",
    hash: hashApiKey(API_KEY, testHasher),
    hint: "simulate…",
    name: "simulation",
    tenant: null,
    scopes: ["publish", "manage", "read"],
    rateLimit: null,
    createdAtMs: START_MS,
    expiresAtMs: null,
    revokedAtMs: null,
  } as const;
}

/** A rejection nobody hears is a bug, unless it comes from the dead. */
function watchRejections(trace: Trace): () => void {
  const hear = (reason: unknown): void => {
    if (!isOfTheDead(reason))
      trace.breach(
        "no crash inside",
        `unhandled: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`,
      );
  };
  process.on("unhandledRejection", hear);
  return () => void process.off("unhandledRejection", hear);
}

function isOfTheDead(reason: unknown): boolean {
  if (reason instanceof DeadProcess) return true;
  return reason instanceof Error && reason.cause !== undefined && isOfTheDead(reason.cause);
}

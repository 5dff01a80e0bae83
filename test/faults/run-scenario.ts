/** One scenario from its first event to its row: load, faults, the end of the load, and what became of all that was accepted. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { Book } from "./book.ts";
import type { Fleet } from "./fleet.ts";
import { watchMemory } from "./memory.ts";
import { startPublisher } from "./publisher.ts";
import type { FaultReceiver } from "./receiver.ts";
import type { Result } from "./result.ts";
import { problemsOf } from "./result.ts";
import type { Scenario, Stage } from "./scenario.ts";
import { heldInRedis } from "./redis-faults.ts";
import { countUnshown, untilSettled } from "./settling.ts";
import type { Tenant } from "./stand.ts";
import type { Stores } from "./stores.ts";

export interface World {
  readonly stores: Stores;
  readonly fleet: Fleet;
  readonly receiver: FaultReceiver;
}

const RATE_PER_S = 120;
/** Load before the first fault and after the last. */
const LEAD_MS = 1500;
const TAIL_MS = 1500;
/** In the first second of a fault a process learns of it; the latency of what it accepts is measured after. */
const LEARN_MS = 1000;
/** Lost events of which the API is asked. */
const TRACES = 3;
const running = new AbortController().signal;

/** Rejects when a fault could not be brought about or ended: then it did not run. */
export async function runScenario(scenario: Scenario, world: World, tenant: Tenant): Promise<Result> {
  const { fleet, receiver, stores } = world;
  const book = new Book();
  const complaints: string[] = [];
  const diedBefore = fleet.died.length;
  await using ending = new AsyncDisposableStack();
  ending.defer(receiver.follow(tenant.path, (id, atMs) => book.arrive(id, atMs)));
  const memory = ending.use(watchMemory(fleet, stores));
  const publisher = ending.use(
    startPublisher({
      book,
      urls: fleet.gatewayUrls,
      key: tenant.key,
      tenant: tenant.name,
      ratePerS: scenario.ratePerS ?? RATE_PER_S,
      tries: scenario.tries ?? 0,
      isNamed: scenario.isNamed ?? false,
    }),
  );
  await systemClock.sleep(LEAD_MS, running);
  const learnt = systemClock.timer(LEARN_MS, () => publisher.measure(true));
  ending.defer(learnt);
  await runSteps(scenario, { ...world, book, complain: (text) => void complaints.push(text) });
  const faultEndMs = systemClock.monotonic();
  learnt();
  publisher.measure(false);
  await systemClock.sleep(TAIL_MS, running);
  await publisher.stop();
  await untilSettled(book, fleet, tenant.name);
  const stalls = book.stalls(systemClock.monotonic());
  const { missing, gone, ...sums } = book.sums();
  const counted = {
    scenario: scenario.name,
    ...sums,
    answers: publisher.answers(),
    lost: missing.length,
    lostByStore: gone,
    unshown: await countUnshown(book.deliveredIds(), fleet, tenant.name),
    stallMs: stalls.all,
    highStallMs: stalls.high,
    recoveryMs: book.longestWait("before", faultEndMs)?.waitedMs ?? null,
    afterMs: book.longestWait("after", faultEndMs)?.waitedMs ?? null,
    died: fleet.died.length - diedBefore,
    memory: memory.most(),
  };
  const problems = problemsOf(scenario, counted);
  if (problems.length > 0) complaints.push(...(await latestOf(book, faultEndMs, fleet, tenant)));
  if (missing.length > 0) {
    const held = await heldInRedis(stores, missing);
    complaints.push(`${held.length} of the ${missing.length} that are lost still lie in Redis`);
  }
  complaints.push(...fleet.died.slice(diedBefore), ...(await tracesOf(missing.slice(0, TRACES), book, fleet, tenant)));
  return { ...counted, problems: [...problems, ...complaints] };
}

/** Who waited longest, and what the API knows of it. */
async function latestOf(book: Book, faultEndMs: number, fleet: Fleet, tenant: Tenant): Promise<readonly string[]> {
  const waits = [book.longestWait("before", faultEndMs), book.longestWait("after", faultEndMs)];
  const told = waits.flatMap((wait) => (wait === null || wait.id === "" ? [] : [wait]));
  return Promise.all(
    told.map(async ({ id, priority, acceptedAtMs, waitedMs }) => {
      const when = `${Math.round(acceptedAtMs - faultEndMs)} ms after the fault's end`;
      return `${id} (${priority}), accepted ${when}, waited ${Math.round(waitedMs)} ms: ${await viewOf(id, fleet, tenant)}`;
    }),
  );
}

/** What the API knows of events that are lost. */
function tracesOf(ids: readonly string[], book: Book, fleet: Fleet, tenant: Tenant): Promise<readonly string[]> {
  return Promise.all(
    ids.map(async (id) => {
      return `lost ${id} (${book.acceptedById.get(id)?.priority}): ${await viewOf(id, fleet, tenant)}`;
    }),
  );
}

async function viewOf(id: string, fleet: Fleet, tenant: Tenant): Promise<string> {
  return JSON.stringify(await fleet.ask(`/v1/events/${id}?tenant=${tenant.name}`).catch(String));
}

/** All of them end before the first failure is told, so that what is mended is mended. */
async function runSteps({ steps }: Scenario, stage: Stage): Promise<void> {
  const ends = await Promise.allSettled(
    steps.map(async ({ fault, atMs = 0, forMs }) => {
      await systemClock.sleep(atMs, running);
      const undo = await fault(stage);
      await systemClock.sleep(forMs, running);
      await undo();
    }),
  );
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** One scenario from its first event to its row: load, faults, the end of the load, and what became of all that was accepted. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { ByPriority } from "./book.ts";
import { Book, PRIORITIES } from "./book.ts";
import type { Fleet } from "./fleet.ts";
import type { Memory } from "./memory.ts";
import { watchMemory } from "./memory.ts";
import type { Answers } from "./publisher.ts";
import { startPublisher } from "./publisher.ts";
import type { FaultReceiver } from "./receiver.ts";
import type { Scenario, Stage } from "./scenario.ts";
import { ALL, RECOVERY_MS_MAX } from "./scenario.ts";
import { countUnshown, untilSettled } from "./settling.ts";
import type { Tenant } from "./stand.ts";
import type { Stores } from "./stores.ts";

export interface Result {
  readonly scenario: string;
  readonly answers: Answers;
  readonly accepted: number;
  readonly delivered: number;
  readonly dead: number;
  /** Waits for a planned attempt. */
  readonly planned: number;
  readonly lost: number;
  readonly lostByStore: number;
  readonly duplicates: number;
  readonly unasked: number;
  /** Delivered, of a sample, and not shown so by the API. */
  readonly unshown: { readonly of: number; readonly unshown: number };
  readonly stallMs: number;
  readonly highStallMs: number;
  /** Null: something that was accepted before the fault's end never came. */
  readonly recoveryMs: number | null;
  readonly died: number;
  readonly memory: Memory;
  /** Why it is not good; empty when it is. */
  readonly problems: readonly string[];
}

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
const running = new AbortController().signal;

export async function runScenario(scenario: Scenario, world: World, tenant: Tenant): Promise<Result> {
  const { fleet, receiver, stores } = world;
  const book = new Book();
  const complaints: string[] = [];
  const diedBefore = fleet.died.length;
  const leave = receiver.follow(tenant.path, (id, atMs) => book.arrive(id, atMs));
  const stopMemory = watchMemory(fleet, stores);
  const publisher = startPublisher({
    book,
    urls: fleet.gatewayUrls,
    key: tenant.key,
    tenant: tenant.name,
    ratePerS: scenario.ratePerS ?? RATE_PER_S,
    tries: scenario.tries ?? 0,
    isNamed: scenario.isNamed ?? false,
  });
  await systemClock.sleep(LEAD_MS, running);
  const learnt = systemClock.timer(LEARN_MS, () => publisher.measure(true));
  const stage: Stage = { ...world, book, complain: (text) => void complaints.push(text) };
  await runSteps(scenario, stage);
  const faultEndMs = systemClock.monotonic();
  learnt();
  publisher.measure(false);
  await systemClock.sleep(TAIL_MS, running);
  await publisher.stop();
  await untilSettled(book, fleet, tenant.name);
  const { acceptedById } = book;
  const sums = book.sums();
  const unshown = await countUnshown(book.deliveredIds(), fleet, tenant.name);
  leave();
  const stalls = book.stalls(systemClock.monotonic());
  const lost = sums.missing;
  const counted = {
    scenario: scenario.name,
    answers: publisher.answers(),
    accepted: sums.accepted,
    delivered: sums.delivered,
    dead: sums.dead,
    planned: sums.planned,
    lost: lost.length,
    lostByStore: sums.gone,
    duplicates: sums.duplicates,
    unasked: sums.unasked,
    unshown,
    stallMs: stalls.all,
    highStallMs: stalls.high,
    recoveryMs: book.recoveryMs(faultEndMs),
    died: fleet.died.length - diedBefore,
    memory: await stopMemory(),
  };
  const traces = lost.slice(0, 3).map(async (id) => {
    const view = await fleet.ask(`/v1/events/${id}?tenant=${tenant.name}`).catch(String);
    return `lost ${id} (${acceptedById.get(id)?.priority}): ${JSON.stringify(view)}`;
  });
  complaints.push(...fleet.died.slice(diedBefore), ...(await Promise.all(traces)));
  return { ...counted, problems: [...problemsOf(scenario, counted), ...complaints] };
}

/** Rejects when a fault could not be brought about or ended: the scenario did not run. */
async function runSteps({ steps }: Scenario, stage: Stage): Promise<void> {
  await Promise.all(
    steps.map(async ({ fault, atMs = 0, forMs }) => {
      await systemClock.sleep(atMs, running);
      const undo = await fault(stage);
      await systemClock.sleep(forMs, running);
      await undo();
    }),
  );
}

export function problemsOf(scenario: Scenario, result: Omit<Result, "problems">): readonly string[] {
  const { lost, recoveryMs, died, answers } = result;
  const problems: string[] = [];
  if (result.accepted === 0) problems.push("nothing was accepted, so that nothing is shown");
  if (lost > 0) problems.push(`${lost} accepted events are lost`);
  const withinMs = scenario.recoveryMsMax ?? RECOVERY_MS_MAX;
  if (recoveryMs !== null && recoveryMs > withinMs) {
    problems.push(`recovery took ${Math.round(recoveryMs)} ms, more than ${withinMs}`);
  }
  if (died > 0) problems.push(`${died} programs ended by themselves`);
  for (const [seen, count] of answers.odd) problems.push(`${count} answers ${seen}`);
  if (answers.heldBack > 0) problems.push(`${answers.heldBack} events were not sent, as too many answers were awaited`);
  problems.push(...refusalsOf(answers, scenario.refusedMax ?? ALL));
  return problems;
}

function refusalsOf({ refused, sent }: Answers, most: ByPriority): readonly string[] {
  return PRIORITIES.flatMap((priority) => {
    const share = refused[priority] / Math.max(1, sent / PRIORITIES.length);
    if (share <= most[priority]) return [];
    return [`${refused[priority]} of ${priority} were refused, more than ${most[priority] * 100} %`];
  });
}

/**
 * When the last event arrives at an endpoint that is in trouble, beside what would be possible: one that fails at first, from its first
 * request on or after a time in which it was well; one that fails half of its attempts; one that takes long for each.
 * All of them at once on one system, each of a tenant of its own, with attempts a second apart, so that the schedule of
 * retries hides nothing.
 */
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { median, spreadText } from "./figures.ts";
import type { Moody, Taken } from "./moody.ts";
import { startMoody } from "./moody.ts";

const EVENTS = 300;
/** For the endpoint that takes long, at `RATE` a second. */
const EVENTS_SLOW = 750;
const RATE = 50;
const RETRY_S = 1;
const RETRY = { base_s: RETRY_S, factor: 1, max_s: RETRY_S, attempts: 50 };
/** Before the trouble of the one that was well: it has answered, and its cap has begun to grow. */
const WELL_EVENTS = 50;
const WELL_MS_MAX = 30_000;
/** From the recovery, or from the first publish. */
const ARRIVE_MS_MAX = 600_000;

const CASES = ["down", "downlater", "coin", "slow"] as const;
type Case = (typeof CASES)[number];

export interface RecoveryOptions {
  readonly set: BenchSet;
  readonly rounds: number;
  /** How long the two fail that recover. */
  readonly failS: number;
  /** How long the slow one takes for each. */
  readonly answerMs: number;
}

interface Arrived extends Taken {
  /** Seconds from the recovery, or from the first publish, until the last event was answered with 2xx. */
  readonly lastS: number;
  readonly idealS: number;
}

export async function benchRecovery(wish: RecoveryOptions): Promise<Finding[]> {
  const { set, rounds, failS, answerMs } = wish;
  const measured = new Map(CASES.map((name) => [name, [] as Arrived[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, arrived] of Object.entries(await runRound(wish))) measured.get(name as Case)?.push(arrived);
  }
  const names: Readonly<Record<Case, string>> = {
    down: `fails for its first ${failS} s`,
    downlater: `was well, fails for ${failS} s`,
    coin: "fails half of its attempts",
    slow: `answers after ${answerMs / 1000} s`,
  };
  const title =
    `recovery, ${set}: ${rounds} rounds, ${EVENTS} events for each endpoint, ${EVENTS_SLOW} at ${RATE} a second for the slow one, attempts ${RETRY_S} s ` +
    "apart; when the last one arrives, from the recovery or else from the first publish, medians and spread";
  const header = ["endpoint", "last after s", "spread", "possible s", "ratio", "attempts", "at once, at most"];
  const rows = [...measured].map(([name, arrived]) => rowOf(names[name], arrived));
  return [{ title, header, rows, plotted: 1 }];
}

function rowOf(name: string, rounds: readonly Arrived[]): readonly string[] {
  const of = (pick: (arrived: Arrived) => number): number => median(rounds.map(pick));
  const lasts = rounds.map(({ lastS }) => lastS);
  return [
    name,
    median(lasts).toFixed(1),
    spreadText(lasts, 1),
    of(({ idealS }) => idealS).toFixed(1),
    of(({ lastS, idealS }) => lastS / idealS).toFixed(2),
    of(({ attempts }) => attempts).toFixed(0),
    of(({ atOnceMost }) => atOnceMost).toFixed(0),
  ];
}

/** On a system of its own: what is learnt of an endpoint stays with a processor. */
async function runRound(wish: RecoveryOptions): Promise<Readonly<Record<Case, Arrived>>> {
  await using moody = await startMoody();
  await using system = await openBenchSystem(wish.set, {});
  for (const name of CASES) {
    const url = moody.url(name === "slow" ? `slow/${wish.answerMs}` : name);
    await system.post("/v1/endpoints", { url, tenant: name, event_types: ["load"], retry: RETRY });
  }
  await publish(system, "downlater", WELL_EVENTS);
  await moody.took("downlater", WELL_EVENTS, WELL_MS_MAX);
  await moody.reset();
  const startedAtMs = await moody.ail();
  const slow = runSlow(system, moody, wish.answerMs);
  // Its rejection is looked at below; what fails earlier ends the round by itself.
  slow.catch(() => undefined);
  for (const name of ["down", "downlater"] as const) await publish(system, name, EVENTS);
  const coin = runCoin(system, moody);
  coin.catch(() => undefined);
  await Bun.sleep(startedAtMs + wish.failS * 1000 - (performance.timeOrigin + performance.now()));
  const healedAtMs = await moody.heal();
  // At best the retries that were planned just before are made, and all others with them.
  const recovered = async (name: Case): Promise<Arrived> => {
    const taken = await moody.took(name, EVENTS, ARRIVE_MS_MAX);
    return { ...taken, lastS: (taken.lastAtMs - healedAtMs) / 1000, idealS: RETRY_S };
  };
  const down = await recovered("down");
  const downlater = await recovered("downlater");
  return { down, downlater, coin: await coin, slow: await slow };
}

/** At best the unluckiest event waits for each of its retries and nothing else. */
async function runCoin(system: BenchSystem, moody: Moody): Promise<Arrived> {
  const startedAtMs = performance.timeOrigin + performance.now();
  await publish(system, "coin", EVENTS);
  const taken = await moody.took("coin", EVENTS, ARRIVE_MS_MAX);
  return { ...taken, lastS: (taken.lastAtMs - startedAtMs) / 1000, idealS: (taken.attemptsMost - 1) * RETRY_S };
}

/** At best all that one endpoint may have in flight is in flight from the first event on, or each goes at once when it is published. */
async function runSlow(system: BenchSystem, moody: Moody, answerMs: number): Promise<Arrived> {
  const startedAtMs = performance.timeOrigin + performance.now();
  for (let nth = 0; nth < EVENTS_SLOW; nth += 1) {
    const waitMs = startedAtMs + (nth * 1000) / RATE - (performance.timeOrigin + performance.now());
    if (waitMs > 0) await Bun.sleep(waitMs);
    await system.post("/v1/events", { type: "load", tenant: "slow", data: { nth } });
  }
  const taken = await moody.took("slow", EVENTS_SLOW, ARRIVE_MS_MAX);
  const byCapS = (EVENTS_SLOW * answerMs) / 1000 / PROCESSOR_LIMITS.inFlightPerEndpointMax;
  const idealS = Math.max(byCapS, EVENTS_SLOW / RATE + answerMs / 1000);
  return { ...taken, lastS: (taken.lastAtMs - startedAtMs) / 1000, idealS };
}

async function publish({ post }: BenchSystem, tenant: string, events: number): Promise<void> {
  const event = { type: "load", tenant, data: { note: "x".repeat(900) } };
  await post("/v1/events/batch", { events: Array.from({ length: events }, () => event) });
}

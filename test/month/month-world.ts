/** A month on the virtual clock, whatever the set: the load, visit by visit, and the sizes of everything once a week. */
import type { VirtualClock } from "../support/clocks/virtual-clock.ts";
import type { Stepper } from "../simulation/stepper.ts";
import type { Call } from "./month-load.ts";
import type { Sizes } from "./sizes.ts";
import { createChance } from "../simulation/chance.ts";
import { createStepper } from "../simulation/stepper.ts";
import { createVirtualClock } from "../support/clocks/virtual-clock.ts";
import { createMonthLoad } from "./month-load.ts";
import { createMonthNetwork } from "./month-network.ts";

export const OPERATOR_KEY = "operator-key-of-the-long-month";
const START_MS = Date.UTC(2026, 0, 31, 12);
const HOUR_MS = 3600_000;
export const WEEK = { visits: 56, everyHours: 3 };
const STEPS_MAX = 1_000_000_000;

export interface MonthOptions {
  /** How often something happens in one of the four weeks, and after how many hours: `WEEK` in a real one. */
  readonly visits: number;
  readonly everyHours: number;
  readonly seed: number;
}

export interface MonthReport {
  readonly weeks: readonly Sizes[];
  readonly statuses: ReadonlyMap<number, number>;
  readonly attempts: number;
}

export interface MonthPlace {
  readonly clock: VirtualClock;
  readonly stepper: Stepper;
  readonly chance: ReturnType<typeof createChance>;
  readonly network: ReturnType<typeof createMonthNetwork>;
  /** What is kept for a time is full by the end of the second week when that time is at most so long. */
  readonly weekMs: number;
}

/** A set that runs: where requests go, what it holds. */
export interface MonthSystem extends AsyncDisposable {
  fetch(request: Request): Promise<Response>;
  sizes(): Sizes | Promise<Sizes>;
}

export async function runMonth(
  options: MonthOptions,
  open: (place: MonthPlace) => Promise<MonthSystem>,
): Promise<MonthReport> {
  const chance = createChance(options.seed);
  const clock = createVirtualClock({ startMs: START_MS, chance: chance.fork() });
  const stepper = createStepper(clock, STEPS_MAX);
  const network = createMonthNetwork(chance.fork());
  const system = await open({
    clock,
    stepper,
    chance: chance.fork(),
    network,
    weekMs: options.visits * options.everyHours * HOUR_MS,
  });
  const load = createMonthLoad(callOf(system), chance.fork(), () => clock.now());
  const weeks: Sizes[] = [];
  await stepper.settled(load.begin());
  for (let week = 1; week <= 4; week++) {
    for (let visit = 0; visit < options.visits; visit++) {
      const n = (week - 1) * options.visits + visit;
      await stepper.settled(load.visit(n));
      const untilMs = START_MS + (n + 1) * options.everyHours * HOUR_MS;
      await stepper.settled(clock.sleep(Math.max(0, untilMs - clock.now()), new AbortController().signal));
    }
    weeks.push(await stepper.settled(Promise.resolve(system.sizes())));
  }
  await stepper.settled(Promise.resolve(system[Symbol.asyncDispose]()));
  return { weeks, statuses: load.statuses, attempts: network.attempts() };
}

function callOf(system: MonthSystem): Call {
  return async (method, path, body, key = OPERATOR_KEY, headers = {}) => {
    const request = new Request(`http://gateway${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const response = await system.fetch(request);
    return { status: response.status, text: await response.text() };
  };
}

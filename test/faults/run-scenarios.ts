/**
 * Scenarios one after the other, those of one layout on the same stores and, unless one harms them, the same programs. A
 * system that a scenario leaves unwell is that scenario's problem, and the next one gets a new system.
 */
import { randomBytes } from "node:crypto";
import { prefixEnv } from "../e2e/distributed-harness.ts";
import type { Fleet } from "./fleet.ts";
import { openFleet } from "./fleet.ts";
import type { FaultReceiver } from "./receiver.ts";
import { openFaultReceiver } from "./receiver.ts";
import type { Result } from "./result.ts";
import { runScenario } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";
import type { Tenant } from "./stand.ts";
import { enter } from "./stand.ts";
import type { Layout, Stores } from "./stores.ts";
import { LAYOUTS, openStores } from "./stores.ts";

const GATEWAYS = 2;
const PROCESSORS = 2;

export interface Run {
  readonly results: readonly Result[];
  /** Scenarios that did not run, and systems that were left unwell. */
  readonly failures: readonly string[];
}

/** `onResult` hears of each row as it is there. */
export async function runScenarios(scenarios: readonly Scenario[], onResult: (result: Result) => void): Promise<Run> {
  const results: Result[] = [];
  const failures: string[] = [];
  for (const layout of LAYOUTS) {
    const those = scenarios.filter((scenario) => scenario.layout === layout);
    if (those.length === 0) continue;
    try {
      await runLayout(
        layout,
        those,
        (result) => {
          results.push(result);
          onResult(result);
        },
        failures,
      );
    } catch (error) {
      failures.push(`the layout ${layout} ended early: ${textOf(error)}`);
    }
  }
  return { results, failures };
}

async function runLayout(
  layout: Layout,
  scenarios: readonly Scenario[],
  onResult: (result: Result) => void,
  failures: string[],
): Promise<void> {
  await using stores = await openStores(layout);
  await using receiver = await openFaultReceiver();
  let kept: Fleet | null = null;
  let previous: Scenario | null = null;
  for (const [round, scenario] of scenarios.entries()) {
    const isOwn = scenario.env !== undefined;
    let entered: Tenant | string | null =
      kept === null || isOwn ? null : await enterKept(scenario, kept, receiver, round);
    if (typeof entered === "string") {
      failures.push(`${previous?.name} left the system unwell: ${entered}`);
      entered = null;
    }
    if (entered === null) await kept?.[Symbol.asyncDispose]();
    previous = scenario;
    let fleet: Fleet | null = entered === null ? null : kept;
    let isGood = false;
    try {
      fleet ??= await openOwnFleet(stores, scenario);
      const tenant = entered ?? (await enter(scenario, fleet, receiver, round));
      const result = await runScenario(scenario, { stores, fleet, receiver }, tenant);
      onResult(result);
      isGood = result.problems.length === 0;
    } catch (error) {
      failures.push(`${scenario.name} did not run: ${textOf(error)}`);
    }
    kept = isGood && !isOwn && scenario.isHarmful !== true ? fleet : null;
    if (kept === null) await fleet?.[Symbol.asyncDispose]();
  }
  await kept?.[Symbol.asyncDispose]();
}

/** The programs of the scenario before; a text when they are not well. */
async function enterKept(
  scenario: Scenario,
  fleet: Fleet,
  receiver: FaultReceiver,
  round: number,
): Promise<Tenant | string> {
  try {
    return await enter(scenario, fleet, receiver, round);
  } catch (error) {
    return textOf(error);
  }
}

function openOwnFleet(stores: Stores, scenario: Scenario): Promise<Fleet> {
  const env = {
    ...stores.env,
    ...prefixEnv(`f${randomBytes(4).toString("hex")}`),
    LOG_LEVEL: "info",
    ...scenario.env,
  };
  return openFleet({ gateways: GATEWAYS, processors: PROCESSORS, env });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

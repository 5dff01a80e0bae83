/**
 * Scenarios one after the other, those of one layout on the same stores and, unless one harms them, the same programs. A
 * system that a scenario leaves unwell is that scenario's problem, and the next one gets a new system.
 */
import { randomBytes } from "node:crypto";
import { prefixEnv } from "../e2e/distributed-harness.ts";
import type { Fleet } from "./fleet.ts";
import { openFleet } from "./fleet.ts";
import { openFaultReceiver } from "./receiver.ts";
import type { Result } from "./result.ts";
import type { World } from "./run-scenario.ts";
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
  let round = 0;
  let fleet: Fleet | null = null;
  let previous = "the start";
  try {
    for (const scenario of scenarios) {
      round += 1;
      const isOwn = scenario.env !== undefined;
      if (isOwn) {
        await fleet?.[Symbol.asyncDispose]();
        fleet = null;
      }
      let tenant: Tenant | null = null;
      if (fleet !== null) {
        try {
          tenant = await enter(scenario, fleet, receiver, round);
        } catch (error) {
          failures.push(`${previous} left the system unwell: ${textOf(error)}`);
          await fleet[Symbol.asyncDispose]();
          fleet = null;
        }
      }
      previous = scenario.name;
      try {
        fleet ??= await openOwnFleet(stores, scenario);
        tenant ??= await enter(scenario, fleet, receiver, round);
        const world: World = { stores, fleet, receiver };
        const result = await runScenario(scenario, world, tenant);
        onResult(result);
        if (!isOwn && scenario.isHarmful !== true && result.problems.length === 0) continue;
      } catch (error) {
        failures.push(`${scenario.name} did not run: ${textOf(error)}`);
      }
      await fleet?.[Symbol.asyncDispose]();
      fleet = null;
    }
  } finally {
    await fleet?.[Symbol.asyncDispose]();
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

/** When a fleet is at its end: nothing waits anywhere, for so long that nothing can come back. */
import type { DistributedDrivers } from "@posthaste/shared/drivers/distributed.ts";
import { LEFT_MS, LOOK_MS } from "@posthaste/processor/recovery/left-behind.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Scenario } from "../scenario.ts";
import type { Stepper } from "../stepper.ts";
import type { Trace } from "../trace.ts";
import type { VirtualNetwork } from "../virtual-network.ts";
import type { Emptyings } from "./emptyings.ts";
import type { FleetProcess } from "./fleet-process.ts";

export interface QuietFleet {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly stepper: Stepper;
  readonly scenario: Pick<Scenario, "clocks">;
  readonly network: VirtualNetwork;
  readonly processes: readonly FleetProcess[];
  readonly emptyings: Pick<Emptyings, "count">;
}

/** Virtual time after the fault phase within which all is done, what nobody calls back any more among it. */
const CALM_MS_MAX = LEFT_MS + 2 * LOOK_MS + 3600 * 1000;
/** Looks a second apart that must find nothing to do, so that no rebalance and no lease can bring anything back. */
const QUIET_LOOKS = 45;
/** After Redis was emptied: its index of dead letters is filled again within a minute and a half. */
const QUIET_LOOKS_EMPTIED = 150;

/** Runs until nothing is left to do, or time runs out, which is a violation. */
export async function runUntilQuiet(fleet: QuietFleet): Promise<void> {
  const { clock, trace, stepper } = fleet;
  // What is due by a clock that was set back is late by as much, and once more when it is put off again.
  const setMs = fleet.scenario.clocks.steps.reduce((sum, { byMs }) => sum + Math.abs(byMs), 0);
  const endMs = clock.now() + CALM_MS_MAX + 2 * setMs;
  const looks = fleet.emptyings.count() === 0 ? QUIET_LOOKS : QUIET_LOOKS_EMPTIED;
  let quietLooks = 0;
  let last = "";
  while (quietLooks < looks) {
    if (clock.now() > endMs) return trace.violation("idle", `not quiet: ${last}`);
    await stepper.settled(clock.sleep(1000, new AbortController().signal));
    last = await stepper.settled(whatWaits(fleet));
    quietLooks = last === "" ? quietLooks + 1 : 0;
  }
}

async function whatWaits({ processes, network }: QuietFleet): Promise<string> {
  const alive = processes.filter((each) => each.isAlive());
  const busy = alive.filter((each) => !each.isReady() || each.outstanding() > 0);
  if (busy.length > 0) return `${busy.map(({ index }) => `p${index}`).join(", ")} at work`;
  if (Array.from(network.inFlight()).some((send) => processes[send.processIndex]?.isAlive() === true))
    return "attempts";
  const drivers = alive.find(({ kind }) => kind === "processor")?.drivers();
  if (drivers == null) return "no processor";
  for (const lane of LANES) {
    const { count } = await drivers.lanes.depth(lane);
    if (count > 0) return `lane ${lane} holds ${count}`;
  }
  const { count } = await drivers.retryQueue.depth();
  return count > 0 ? `the retry queue holds ${count}` : keptBack(drivers);
}

/** Overflow that a processor keeps until there is room, or left when it was killed. */
async function keptBack({ deadLetters, directory }: DistributedDrivers): Promise<string> {
  const { rows } = await deadLetters.list({ tenant: null, state: "backlog" }, 100, null);
  for (const { tenant, endpointId } of rows) {
    const endpoint = await directory.find(tenant, endpointId);
    if (endpoint?.status === "active") return `overflow of ${endpointId} is kept back`;
  }
  return "";
}

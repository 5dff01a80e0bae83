/** Who takes part in each simulated world: receivers behind their slots, and the operator's key. */
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { testHasher } from "../support/ambient.ts";
import type { Chance } from "./chance.ts";
import type { Model } from "./model.ts";
import type { Scenario } from "./scenario.ts";
import type { Trace } from "./trace.ts";
import type { Send } from "./virtual-network.ts";
import { slotOf } from "./model.ts";
import { createReceiver } from "./receivers.ts";

export const API_KEY = "simulated-operator-key-000000";

export function addSlots(world: {
  readonly scenario: Pick<Scenario, "slots" | "faultKinds" | "stormMs">;
  readonly model: Model;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly startMs: number;
  readonly isCalm: boolean;
}): void {
  const { scenario, model, chance, trace, startMs } = world;
  scenario.slots.forEach((plan, index) => {
    const receiver = createReceiver({
      host: `r${index}.example`,
      chance: chance.fork(),
      kinds: scenario.faultKinds,
      isHealthy: plan.isHealthy,
      outage: plan.outage,
      startMs,
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
      mayBeLost: false,
      done: [],
      goneAtMs: null,
    };
    model.slots.push({ ...plan, index, url, receiver, ...empty });
    trace.note(`receiver ${receiver.describe()}; ${JSON.stringify(plan)}`);
  });
}

/** A 410 that was heard. */
export function noteGone(model: Model, { url, heard }: Send): void {
  const slot = slotOf(model, url);
  if (slot !== null && heard?.result.kind === "answered" && heard.result.status === 410) slot.goneAtMs = heard.atMs;
}

export function operatorKey(createdAtMs: number) {
  return {
    id: "key_00000000000000000000000000",
    hash: hashApiKey(API_KEY, testHasher),
    hint: "simulate…",
    name: "simulation",
    tenant: null,
    scopes: ["publish", "manage", "read"],
    rateLimit: null,
    createdAtMs,
    expiresAtMs: null,
    revokedAtMs: null,
  } as const;
}

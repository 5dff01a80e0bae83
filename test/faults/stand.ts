/** Before a scenario: a tenant with an endpoint and a key of its own, and a system that takes and delivers every priority. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { call } from "../e2e/posthaste-child.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { PRIORITIES } from "./book.ts";
import type { Fleet } from "./fleet.ts";
import type { FaultReceiver } from "./receiver.ts";
import type { Scenario } from "./scenario.ts";

export interface Tenant {
  readonly name: string;
  /** One with a limit is its own; all others publish with the operator's, which has none. */
  readonly key: string;
  /** Of its endpoint's URL. */
  readonly path: string;
}

const WELL_WITHIN_MS = 60_000;
const WELL = { type: "load.well", data: {} };
/** A receiver that was away is tried again soon, and for a minute. */
const RETRY_DELAYS_S = [0, 1, 2, 3, 4, 5, 5, 5, 5, 10, 10, 10];

/** Rejects with what is not well. */
export async function enter(scenario: Scenario, fleet: Fleet, receiver: FaultReceiver, round: number): Promise<Tenant> {
  const name = `${scenario.name}-${round}`;
  const path = `/${name}`;
  const { limitPerS } = scenario;
  await made(fleet, "/v1/endpoints", {
    url: `${receiver.url}${path}`,
    tenant: name,
    retry: { delays_s: RETRY_DELAYS_S },
  });
  const key =
    limitPerS === undefined
      ? fleet.operatorKey
      : await made(fleet, "/v1/api-keys", {
          name,
          tenant: name,
          scopes: ["publish"],
          rate_limit: { limit: limitPerS, window_ms: 1000 },
        }).then((body) => String(body["key"]));
  const tenant = { name, path, key };
  await untilDelivered(fleet, receiver, tenant);
  return tenant;
}

async function made(fleet: Fleet, path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
  let answer = await fleet.ask(path, body);
  await waitFor({
    fact: `${path} to take something new (${answer.status} ${JSON.stringify(answer.body)} at first)`,
    withinMs: WELL_WITHIN_MS,
    holds: async () => {
      if (answer.status >= 500) answer = await fleet.ask(path, body);
      return answer.status < 500;
    },
  });
  if (answer.status !== 201) throw new Error(`${path} answered ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** By every gateway, so that each knows the key, and by whichever processors take them. */
async function untilDelivered(fleet: Fleet, receiver: FaultReceiver, { name, path, key }: Tenant): Promise<void> {
  const arrived = new Set<string>();
  const leave = receiver.follow(path, (id) => arrived.add(id));
  const endAt = systemClock.monotonic() + WELL_WITHIN_MS;
  try {
    for (const url of fleet.gatewayUrls()) {
      for (const priority of PRIORITIES) {
        let last = "";
        await waitFor({
          fact: `an event of ${priority} to be taken and delivered before anything is broken`,
          withinMs: Math.max(0, endAt - systemClock.monotonic()),
          holds: async () => {
            if (last === "") {
              const { status, body } = await call(url, "/v1/events", { ...WELL, tenant: name, priority }, key);
              if (status === 202) last = String(body["id"]);
            }
            return arrived.has(last);
          },
        });
      }
    }
  } finally {
    leave();
  }
}

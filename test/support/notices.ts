/** A tenant of which one endpoint fails and another is told of it. */
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { ProcessorHarness } from "./processor-harness.ts";
import { openProcessorHarness } from "./processor-harness.ts";
import { endpointOf, envelopeOf } from "./samples.ts";

const MINUTE_MS = 60_000;
const DISABLE_MS = 6 * 60 * MINUTE_MS;
export const LIMITS = { disableAfterMs: DISABLE_MS } as const;
/** Tried for eight hours. */
export const RETRY = { delays_s: [0, ...Array.from({ length: 49 }, () => 600)] };

/** `ep1` fails until told otherwise, `ops` is told. */
export async function failing(wrap?: (drivers: Drivers) => Drivers): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  await harness.add(
    endpointOf("ep1", { retry: RETRY, eventTypes: ["order.*"] }),
    endpointOf("ops", { eventTypes: ["posthaste.*"] }),
    endpointOf("all"),
  );
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start({ limits: LIMITS, ...(wrap === undefined ? {} : { wrap }) });
  await harness.publish(envelopeOf("evt_1"));
  return harness;
}

interface Told {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export function told(harness: ProcessorHarness, endpointId = "ops"): readonly Told[] {
  return harness.world.sent
    .filter((request) => request.endpointId === endpointId)
    .map(({ body }) => JSON.parse(body) as Told);
}

export const types = (harness: ProcessorHarness): readonly string[] => told(harness).map(({ type }) => type);

/** So many sixtieths of the time after which an endpoint is disabled. */
export async function pass(harness: ProcessorHarness, parts: number): Promise<void> {
  for (let minute = 0; minute < 6 * parts; minute++) await harness.clock.advance(MINUTE_MS);
}

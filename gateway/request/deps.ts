/** What the gateway needs: the driver set, clock, chance and hashing. `main` passes them once; each route gets them. */
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";
import type { CatalogueRules } from "@posthaste/shared/domain/event-types.ts";
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { GatewayDrivers } from "@posthaste/shared/ports/drivers.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";

export interface GatewayDeps {
  readonly drivers: GatewayDrivers;
  readonly transport: Pick<Transport, "vet">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly telemetry: Telemetry;
  /** `CATALOGUE_RULES` when it is left out. */
  readonly catalogue?: CatalogueRules;
  /** The text of `/metrics`. */
  readonly collectMetrics: (format: MetricsFormat) => Promise<string>;
}

/** Of each bound one API key gets a third, one tenant a half (`shares.ts`); past that the answer is 429 `share-reached`. */
export interface GatewayLimits {
  /** Most requests at work; one more is answered 503 `overloaded`. */
  readonly inFlightMax: number;
  /** Most requests whose API key is being looked up. */
  readonly headsMax: number;
  /** Of those whose key is being looked up, most with a body of more than 64 KiB or of no declared length. */
  readonly largeHeadsMax: number;
  /** Most requests whose body is still arriving. */
  readonly arrivingMax: number;
  /** Most bytes of bodies, arriving or at work: declared ones in whole, others as they come. */
  readonly bodyBytesMax: number;
  /** Reads that run at once; the others wait, tenants in turn. 1 where a read keeps the event loop busy. */
  readonly readsMax: number;
  /** How long a body may take once half of a bound on bodies is used. */
  readonly bodyPressedMs: number;
  /** From the request's head to its answer; includes the arrival of the body. */
  readonly requestBudgetMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  inFlightMax: 2048,
  headsMax: 2048,
  largeHeadsMax: 128,
  arrivingMax: 2048,
  bodyBytesMax: 128 * 1024 * 1024,
  readsMax: 16,
  bodyPressedMs: 2000,
  requestBudgetMs: 10_000,
};

/**
 * The limits of a server that holds only so many connections. Bodies that arrive and requests at work hold one each, so that
 * one key's third of both leaves two thirds of the connections to others.
 */
export function limitsFor(connectionsMax: number): GatewayLimits {
  const half = Math.max(1, Math.floor(connectionsMax / 2));
  return {
    ...DEFAULT_LIMITS,
    inFlightMax: Math.min(DEFAULT_LIMITS.inFlightMax, half),
    headsMax: Math.min(DEFAULT_LIMITS.headsMax, half),
    arrivingMax: Math.min(DEFAULT_LIMITS.arrivingMax, half),
  };
}

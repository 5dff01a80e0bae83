/** What the gateway is made of: the driver set and the ambient things, given once by `main` and handed to each route. */
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";

export interface GatewayDeps {
  readonly drivers: Drivers;
  readonly transport: Pick<Transport, "vet">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly telemetry: Telemetry;
  /** The text of `/metrics`, Prometheus exposition format. */
  readonly collectMetrics: () => Promise<string>;
}

export interface GatewayLimits {
  /** Requests worked on at once; one more is answered 503 `overloaded`. */
  readonly inFlightMax: number;
  /** From the request's head to its answer, the body's arrival included. */
  readonly requestBudgetMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = { inFlightMax: 2048, requestBudgetMs: 10_000 };

/** What the gateway needs: the driver set, clock, chance and hashing. `main` passes them once; each route gets them. */
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
  /** Most requests in progress; one more is answered 503 `overloaded`. */
  readonly inFlightMax: number;
  /** From the request's head to its answer; includes the arrival of the body. */
  readonly requestBudgetMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = { inFlightMax: 2048, requestBudgetMs: 10_000 };

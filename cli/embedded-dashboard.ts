/** The dashboard of the embedded Posthaste, and the link that signs in to it. */
import type { Dashboard } from "@posthaste/gateway/dashboard/dashboard.ts";
import { createDashboard } from "@posthaste/gateway/dashboard/dashboard.ts";
import { signInPath } from "@posthaste/gateway/dashboard/session.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";
import { systemClock, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { readQueues } from "@posthaste/shared/ports/queue-samples.ts";
import { uplotSource } from "@posthaste/shared/runtime/uplot-source.ts";

export function openDashboard(drivers: Drivers, sealer: Sealer, portal: PortalLook): Dashboard {
  return createDashboard({
    sealer,
    portal,
    uplot: uplotSource(),
    queues: () => readQueues(drivers, systemClock),
    alerts: () => drivers.alertBoard.read(),
  });
}

/** Null when only the key's hash is known. */
export function signInUrl(url: string, operatorKey: string | null, sealer: Sealer): string | null {
  if (operatorKey === null) return null;
  return `${url}${signInPath(sealer, hashApiKey(operatorKey, systemHasher), Math.floor(systemClock.now()))}`;
}

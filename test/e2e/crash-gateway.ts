/** A gateway on a data folder, with an operator key, for children that kill themselves at a line of a request. */
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";

const KEY = "claim_crash_key_0123456789abcdef";

/** As SIGKILL from elsewhere does: no line behind it runs. */
export function die(): void {
  process.kill(process.pid, "SIGKILL");
}

/** `wrap` puts the lines to die at around the drivers. */
export async function openCrashGateway(folder: string, wrap: (drivers: Drivers) => Drivers) {
  const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
  const drivers = openEmbedded({ ...ambient, sealer: createSealer(new Uint8Array(32)), database: { folder } });
  await drivers.apiKeys.save({
    id: "key_test",
    hash: hashApiKey(KEY, systemHasher),
    hint: "test",
    name: "test",
    tenant: null,
    scopes: ["publish", "manage", "read"],
    rateLimit: null,
    createdAtMs: 0,
    expiresAtMs: null,
    revokedAtMs: null,
  });
  const gateway = createGateway({
    ...ambient,
    drivers: wrap(drivers),
    transport: { vet: () => Promise.resolve({ kind: "allowed" }) },
    telemetry: silentTelemetry,
    collectMetrics: () => Promise.resolve(""),
    limits: DEFAULT_LIMITS,
  });
  return {
    drivers,
    async post(path: string, body: string, more: Readonly<Record<string, string>> = {}) {
      const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json", ...more };
      return await gateway.fetch(new Request(`http://gateway${path}`, { method: "POST", headers, body }));
    },
  };
}

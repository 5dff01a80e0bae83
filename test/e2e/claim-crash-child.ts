/**
 * A gateway on the data folder given, that publishes one event with the key given and prints the answer. With a third
 * argument it kills itself, as SIGKILL does, at that line: `claimed` before the append, `appended` right after it.
 */
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { Lanes } from "@posthaste/shared/ports/lanes.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";

const [folder = "", header = "", value = "", body = "", dieWhen = ""] = process.argv.slice(2);
const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
const drivers = openEmbedded({ ...ambient, sealer: createSealer(new Uint8Array(32)), database: { folder } });
const lanes: Lanes = {
  ...drivers.lanes,
  async append(envelopes) {
    if (dieWhen === "claimed") process.kill(process.pid, "SIGKILL");
    await drivers.lanes.append(envelopes);
    if (dieWhen === "appended") process.kill(process.pid, "SIGKILL");
  },
};
const key = "claim_crash_key_0123456789abcdef";
await drivers.apiKeys.save({
  id: "key_test",
  hash: hashApiKey(key, systemHasher),
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
  drivers: { ...drivers, lanes },
  transport: { vet: () => Promise.resolve({ kind: "allowed" }) },
  telemetry: silentTelemetry,
  collectMetrics: () => Promise.resolve(""),
  limits: DEFAULT_LIMITS,
});
const headers = {
  authorization: `Bearer ${key}`,
  "content-type": "application/json",
  ...(header === "" ? {} : { [header]: value }),
};
const answer = await gateway.fetch(new Request("http://gateway/v1/events", { method: "POST", headers, body }));
const events = await drivers.ledger.events({ tenant: null }, 100, null);
process.stdout.write(
  `${JSON.stringify({
    status: answer.status,
    isReplay: answer.headers.get("idempotent-replayed") === "true",
    id: ((await answer.json()) as { id?: string }).id,
    kept: events.rows.map(({ envelope }) => envelope.id),
    waiting: (await drivers.lanes.depth("medium")).count,
  })}\n`,
);
await drivers[Symbol.asyncDispose]();

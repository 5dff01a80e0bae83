/** The embedded set in a month: the real drivers over a file, and what lies in it. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { ensureOperatorKey } from "@posthaste/gateway/resources/operator-key.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { DATABASE_FILE, openDatabaseFile } from "@posthaste/shared/drivers/sqlite/database.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { testHasher } from "../support/ambient.ts";
import { MONTH_BOUNDS, MONTH_LIMITS } from "./month-bounds.ts";
import type { MonthPlace, MonthSystem } from "./month-world.ts";
import { OPERATOR_KEY } from "./month-world.ts";
import type { Sizes } from "./sizes.ts";

export async function openMonthEmbedded(
  folder: string,
  place: MonthPlace,
  countMaps: () => Sizes,
): Promise<MonthSystem> {
  const { clock, chance, network, stepper } = place;
  const { entropy } = chance;
  const handle = openDatabaseFile(folder);
  const ambient = { clock, entropy, hasher: testHasher };
  const sealer = createSealer(new Uint8Array(32).fill(7));
  const drivers = openEmbedded({ ...ambient, sealer, database: handle, bounds: MONTH_BOUNDS });
  const transport = network.transportOf(clock);
  const shared = { ...ambient, drivers, transport, telemetry: silentTelemetry };
  const gateway = createGateway({ ...shared, collectMetrics: () => Promise.resolve(""), limits: DEFAULT_LIMITS });
  const processor = startProcessor({ ...shared, limits: MONTH_LIMITS });
  await stepper.settled(ensureOperatorKey({ ...ambient, apiKeys: drivers.apiKeys }, OPERATOR_KEY, () => undefined));
  return {
    fetch: gateway.fetch,
    sizes: () => new Map([...tableRows(handle), ...fileBytes(folder), ...countMaps()]),
    async [Symbol.asyncDispose]() {
      await processor.stop();
      await drivers[Symbol.asyncDispose]();
      handle.close();
    },
  };
}

function tableRows(handle: DatabaseSync): Sizes {
  const named = handle.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
  return new Map(
    named.map(({ name }) => {
      const row = handle.prepare(`SELECT count(*) AS count FROM "${String(name)}"`).get();
      return [`table ${String(name)} rows`, Number(row?.["count"])];
    }),
  );
}

function fileBytes(folder: string): Sizes {
  const files = [DATABASE_FILE, `${DATABASE_FILE}-wal`];
  return new Map(files.map((file) => [`file ${file} bytes`, statSync(join(folder, file)).size]));
}

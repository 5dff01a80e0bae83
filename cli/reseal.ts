/**
 * `posthaste reseal`: seals what the previous master key sealed with the present one. On Redis beside gateways and processors
 * that run; on the data folder of a stopped process, whose key it makes anew unless the settings name it.
 */
import type { Config, Environment } from "@posthaste/shared/domain/config.ts";
import { ConfigError, parseConfig } from "@posthaste/shared/domain/config.ts";
import type { DistributedConfig } from "@posthaste/shared/domain/distributed-config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";
import { resealDistributed } from "@posthaste/shared/drivers/distributed/reseal.ts";
import { createSealer, systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { ResealReport } from "@posthaste/shared/ports/reseal.ts";
import { untilSignal } from "@posthaste/shared/runtime/entry.ts";
import type { FolderReseal } from "./reseal-folder.ts";
import { resealFolder } from "./reseal-folder.ts";

/** Resolves with the exit code: 0 when nothing is left under the previous key. Throws a plain Error that says what to mend. */
export async function runReseal(environment: Environment, isDryRun: boolean): Promise<number> {
  // What is done stays, and the next run goes on.
  void untilSignal().then(() => process.exit(1));
  const config = parseConfig(environment);
  const distributed = parseDistributed(environment);
  const { report, after } =
    distributed === null ? resealFolder(config, isDryRun) : await resealStores(config, distributed, isDryRun);
  process.stdout.write(summary(report, isDryRun, after));
  return report.isDone || isDryRun ? 0 : 1;
}

async function resealStores(config: Config, distributed: DistributedConfig, isDryRun: boolean): Promise<FolderReseal> {
  const { masterKey, masterKeyPrevious: previous } = config;
  if (masterKey === null || previous === null) {
    throw new ConfigError([
      "POSTHASTE_MASTER_KEY_PREVIOUS is missing: reseal needs the key that the endpoints are sealed with there, and the new one in POSTHASTE_MASTER_KEY",
    ]);
  }
  const sealer = createSealer(masterKey, { previous });
  const ambient = { clock: systemClock, entropy: systemEntropy };
  const report = await resealDistributed({ ...ambient, sealer, config: distributed, isDryRun });
  return {
    report,
    after: "Nothing is left under the previous key: take POSTHASTE_MASTER_KEY_PREVIOUS away from every process.",
  };
}

function summary(report: ResealReport, isDryRun: boolean, after: string): string {
  const { looked, resealed, unreadable, unreadableCount, isDone } = report;
  const lines = [`${looked} endpoints, ${resealed} ${isDryRun ? "to be" : "were"} sealed anew.`];
  if (unreadableCount > 0) {
    lines.push(`${unreadableCount} are left as they are, since no key here opens them: ${unreadable.join(", ")}.`);
  }
  const again =
    "A process goes on sealing with the previous key: give every one the new POSTHASTE_MASTER_KEY, and run this again.";
  if (!isDryRun) lines.push(isDone ? after : again);
  return `${lines.join("\n")}\n`;
}

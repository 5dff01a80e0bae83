/** Commands that do one thing to an installation and end. */
import { ConfigError, parseConfig } from "@posthaste/shared/domain/config.ts";
import type { Command } from "../words/command.ts";
import { defineCommand } from "../words/command.ts";
import { flag } from "../words/option.ts";

const demo = defineCommand({
  name: "demo",
  summary: "sends real webhook payloads through the whole system and checks every delivery",
  options: { distributed: flag("through two gateways and two processors on Redis and Kafka") },
  examples: ["posthaste demo", "posthaste demo --distributed"],
  isProgram: true,
  async run({ options }) {
    // Its payloads take 10 MB, and are not in the container image.
    const loaded = await import("../demo.ts").catch((error: unknown) => {
      if (!String((error as { readonly code?: unknown }).code).endsWith("MODULE_NOT_FOUND")) throw error;
      throw new ConfigError(["The payloads of the demo are not installed here. Run it in a checkout: npm run demo."]);
    });
    return await loaded.runDemo(options.distributed);
  },
});

const backup = defineCommand({
  name: "backup",
  summary: "copies the database to a file, of a running process or of a stopped one",
  about: "The master key is kept apart from it: without that the copy's endpoint secrets cannot be read.",
  operands: [{ name: "FILE", summary: "the file to write, such as backup /backups/posthaste.db" }],
  options: { force: flag("replace the file") },
  examples: [
    "posthaste backup /backups/posthaste.db",
    "POSTHASTE_DATA=/var/lib/posthaste posthaste backup /backups/posthaste.db --force",
  ],
  isProgram: true,
  async run({ operands: [file = ""], options }, { env }) {
    const { runBackup } = await import("../backup.ts");
    await runBackup(parseConfig(env), { file, isForced: options.force });
    return 0;
  },
});

const reseal = defineCommand({
  name: "reseal",
  summary:
    "seals endpoint secrets with a new master key: on Redis while all goes on, or in the folder of a stopped process",
  options: { "dry-run": flag("only count") },
  examples: ["posthaste reseal --dry-run", "posthaste reseal"],
  isProgram: true,
  async run({ options }, { env }) {
    const { runReseal } = await import("../reseal.ts");
    return await runReseal(env, options["dry-run"]);
  },
});

export const upkeep: readonly Command[] = [demo, backup, reseal];

#!/usr/bin/env bun
/** The command line. Exit codes: 0 done, 1 failed or stopped at once, 2 wrong command or wrong settings. */
import { ConfigError, parseConfig } from "@posthaste/shared/domain/config.ts";
import { runProgram } from "@posthaste/shared/runtime/entry.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Command } from "../command-line.ts";
import { parseCommandLine, USAGE } from "../command-line.ts";
import { runBackup } from "../backup.ts";
import { runDev } from "../dev.ts";
import { runReceiver } from "../receiver.ts";
import { runServe } from "../serve.ts";
import { VERSION } from "../version.ts";

const { env } = process;

async function run(command: Command): Promise<number> {
  switch (command.kind) {
    case "dev":
      await runDev(parseConfig(env), env["LOG_LEVEL"] !== undefined);
      return 0;
    case "serve":
      await runServe(parseConfig(env));
      return 0;
    case "backup":
      await runBackup(parseConfig(env), command);
      return 0;
    case "reseal":
      return await reseal(command.isDryRun);
    case "demo":
      return await demo(command.isDistributed);
    case "receiver":
      await runReceiver(command, command.register === null ? null : parseConfig(env).operatorKey);
      return 0;
    case "help":
      process.stdout.write(USAGE);
      return 0;
    case "version":
      process.stdout.write(`${VERSION}\n`);
      return 0;
    case "wrong":
      process.stderr.write(`posthaste: ${command.message}\n\n${USAGE}`);
      return 2;
    default:
      return unreachable(command);
  }
}

/** Loaded when it is asked for: its payloads take 10 MB, and are not in the container image. */
async function demo(isDistributed: boolean): Promise<number> {
  const loaded = await import("../demo.ts").catch((error: unknown) => {
    if (!String((error as { readonly code?: unknown }).code).endsWith("MODULE_NOT_FOUND")) throw error;
    throw new ConfigError(["The payloads of the demo are not installed here. Run it in a checkout: npm run demo."]);
  });
  return loaded.runDemo(isDistributed);
}

/** Loaded when it is asked for, and the clients of Redis with it. */
async function reseal(isDryRun: boolean): Promise<number> {
  const { runReseal } = await import("../reseal.ts");
  return await runReseal(env, isDryRun);
}

await runProgram("posthaste", () => run(parseCommandLine(process.argv.slice(2))));

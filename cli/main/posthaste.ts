#!/usr/bin/env bun
/** The command line. Exit codes: 0 done, 1 failed or stopped at once, 2 wrong command or wrong settings. */
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { runProgram } from "@posthaste/shared/runtime/entry.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Command } from "../command-line.ts";
import { parseCommandLine, USAGE } from "../command-line.ts";
import { runBackup } from "../backup.ts";
import { runDemo } from "../demo.ts";
import { runDev } from "../dev.ts";
import { runReceiver } from "../receiver.ts";
import { runReseal } from "../reseal.ts";
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
      return await runReseal(env, command.isDryRun);
    case "demo":
      return await runDemo(command.isDistributed);
    case "receiver":
      await runReceiver(command.secrets, command.port);
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

await runProgram("posthaste", () => run(parseCommandLine(process.argv.slice(2))));

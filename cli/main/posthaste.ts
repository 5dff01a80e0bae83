/** The command line. Exit codes: 0 done, 1 failed or stopped at once, 2 wrong command or wrong settings. */
import { ConfigError, parseConfig } from "@posthaste/shared/domain/config.ts";
import { AssertionFailure, unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Command } from "../command-line.ts";
import { parseCommandLine, USAGE } from "../command-line.ts";
import { runDemo } from "../demo.ts";
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
    case "demo":
      return await runDemo();
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

/** One line for each thing the reader can mend; a stack only where the fault is ours. */
function report(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) process.stderr.write(`posthaste: ${problem}\n`);
    return 2;
  }
  const isOurs = error instanceof AssertionFailure || error instanceof TypeError || !(error instanceof Error);
  process.stderr.write(`posthaste: ${isOurs ? String(error instanceof Error ? error.stack : error) : error.message}\n`);
  return 1;
}

try {
  process.exitCode = await run(parseCommandLine(process.argv.slice(2)));
} catch (error) {
  process.exitCode = report(error);
}

/**
 * What every program does around its work: it ends in order on a signal, and prints in one line what the reader can
 * mend. Exit codes: 0 done, 1 failed or stopped at once, 2 wrong command or wrong settings.
 */
import { ConfigError } from "../domain/config.ts";
import { unknownSettings } from "../domain/unknown-settings.ts";
import { AssertionFailure } from "../lib/assert.ts";
import { isHelpAsked } from "./help.ts";

/** Resolves on the first SIGTERM or SIGINT, which asks for an orderly end; the second ends at once with 1. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false;
    const ask = (): void => {
      if (isAsked) process.exit(1);
      isAsked = true;
      resolve();
    };
    process.on("SIGTERM", ask);
    process.on("SIGINT", ask);
  });
}

/** Prints `help` instead of running when `--help` is among the words of the command. */
export async function runWithHelp(name: string, help: string, work: () => Promise<number>): Promise<void> {
  if (isHelpAsked(process.argv.slice(2))) process.stdout.write(help);
  else await runProgram(name, work);
}

/** Runs the program and sets its exit code; `work` resolves with one. */
export async function runProgram(name: string, work: () => Promise<number>): Promise<void> {
  for (const unknown of unknownSettings(process.env)) process.stderr.write(`${name}: ${unknown}\n`);
  try {
    process.exitCode = await work();
  } catch (error) {
    process.exitCode = report(name, error);
  }
}

/** One line for each thing the reader can mend; a stack only where the fault is ours. */
function report(name: string, error: unknown): number {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) process.stderr.write(`${name}: ${problem}\n`);
    return 2;
  }
  const isOurs = error instanceof AssertionFailure || error instanceof TypeError || !(error instanceof Error);
  process.stderr.write(`${name}: ${isOurs ? String(error instanceof Error ? error.stack : error) : error.message}\n`);
  return 1;
}

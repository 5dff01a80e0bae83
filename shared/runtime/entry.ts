/**
 * What every program does around its work: it ends in order on a signal, and prints in one line what the reader can
 * mend. Exit codes: 0 done, 1 failed, stopped at once or stopped before all was finished, 2 wrong command or wrong settings.
 */
import { readFileSync } from "node:fs";
import { ConfigError } from "../domain/config.ts";
import { resourceAttributesFault } from "../domain/resource-attributes.ts";
import { CHILD_NUMBER, unknownSettings } from "../domain/unknown-settings.ts";
import { AssertionFailure } from "../lib/assert.ts";
import { isHelpAsked } from "./help.ts";

/** The longest that an orderly end may take. Service managers give about 30 s before they kill. */
const STOP_MS_MAX = 29_000;
/** Ctrl-C under npm comes twice, from the terminal and from npm, which passes it on, late on a busy machine: that is one wish. */
const ECHO_MS = 1000;
/** After the work is over, what still holds the event loop is left to itself. */
const LINGER_MS_MAX = 500;

/**
 * Resolves on the first SIGTERM, SIGINT or SIGHUP (its terminal is gone), which asks for an orderly end; the second ends at
 * once with 1, and so does an end that takes too long. Under `nohup` SIGHUP stays ignored. `asked` is another way to ask: a
 * signal that comes with it, as from the terminal to all processes of a group, is the same wish.
 */
export function untilSignal(asked?: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    let first: { readonly name: NodeJS.Signals | null; readonly atMs: number } | null = null;
    const ask = (name: NodeJS.Signals | null): void => {
      const nowMs = performance.now();
      if (first !== null) {
        const isSame = name === first.name || first.name === null;
        const isEcho = isSame && nowMs - first.atMs < ECHO_MS;
        if (!isEcho && name !== null) process.exit(1);
        return;
      }
      first = { name, atMs: nowMs };
      exitAfter(STOP_MS_MAX, () => {
        process.stderr.write(
          `Not stopped after ${STOP_MS_MAX / 1000} s; what is unfinished goes on at the next start.\n`,
        );
        process.exit(1);
      });
      resolve();
    };
    void asked?.then(() => ask(null));
    process.on("SIGTERM", ask);
    process.on("SIGINT", ask);
    if (!isHangUpIgnored()) process.on("SIGHUP", ask);
  });
}

/** The signals that whoever started this process had it ignore, in hexadecimal; SIGHUP is the lowest bit. */
const IGNORED_SIGNALS = /^SigIgn:\s*[0-9a-f]*([0-9a-f])$/m;

/** A listener would take the place of what `nohup` asked for. Where there is no /proc nobody knows. */
function isHangUpIgnored(): boolean {
  try {
    const [, lowest = "0"] = IGNORED_SIGNALS.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    return (parseInt(lowest, 16) & 1) === 1;
  } catch {
    return false;
  }
}

/**
 * Resolves or rejects as `opening` does. A signal that comes before that ends the program at once: nothing was taken yet,
 * and stores that do not answer would keep it waiting.
 */
export async function unlessStopped<Opened>(stopped: Promise<void>, opening: Promise<Opened>): Promise<Opened> {
  let isOver = false;
  const leave = (): void => {
    if (!isOver) process.exit(0);
  };
  void stopped.then(leave);
  try {
    return await opening;
  } finally {
    isOver = true;
  }
}

/** Of a program that takes no words but `--help`, which prints `help` instead of running. */
export async function runWithHelp(name: string, help: string, work: () => Promise<number>): Promise<void> {
  const words = process.argv.slice(2);
  if (isHelpAsked(words)) process.stdout.write(help);
  else await runProgram(name, words[0] === undefined ? work : () => refuse(name, words[0] ?? "", help));
}

async function refuse(name: string, word: string, help: string): Promise<number> {
  process.stderr.write(`${name} does not take ${word}; settings are environment variables\n\n${help}`);
  return 2;
}

/** Runs the program and sets its exit code; `work` resolves with one. */
export async function runProgram(name: string, work: () => Promise<number>): Promise<void> {
  // Whoever reads them may go away, and what is delivered goes on: without a listener a broken pipe ends the process.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  // The parent of several has said it.
  const isTold = process.env[CHILD_NUMBER] !== undefined;
  const ignored = isTold
    ? []
    : [...unknownSettings(process.env), resourceAttributesFault(process.env)].filter((fault) => fault !== null);
  for (const fault of ignored) process.stderr.write(`${name}: ${fault}\n`);
  try {
    process.exitCode = await work();
  } catch (error) {
    process.exitCode = report(name, error);
  }
  // A start that failed half-way may leave a timer or a connection behind, which must not keep the process.
  exitAfter(LINGER_MS_MAX, () => process.exit());
}

/** Keeps nothing alive itself: a process that has nothing more to do is gone before. */
function exitAfter(ms: number, exit: () => void): void {
  setTimeout(exit, ms).unref();
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

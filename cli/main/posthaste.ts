#!/usr/bin/env bun
/** The command line. Exit codes: 0 done, 1 failed or refused, 2 wrong words or wrong settings, 130 ended by Ctrl-C. */
import { runtimeSurroundings } from "@posthaste/client/surroundings.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { runProgram } from "@posthaste/shared/runtime/entry.ts";
import { commands } from "../commands/all.ts";
import { createScreen, outOf } from "../screen/screen.ts";
import { VERSION } from "../version.ts";
import type { Command, Context } from "../words/command.ts";
import { helpOf, usageOf } from "../words/help.ts";
import { WrongWords } from "../words/option.ts";
import type { Parsed } from "../words/parse-words.ts";
import { parseWords } from "../words/parse-words.ts";

const { env, stdin, stdout, stderr } = process;

async function run(parsed: Parsed): Promise<number> {
  switch (parsed.kind) {
    case "run":
      return await runCommand(parsed.command, () => parsed.command.run(parsed.given, contextOf()));
    case "help":
      stdout.write(helpOf(parsed.of, parsed.words, stdout.isTTY ? stdout.columns : undefined));
      return 0;
    case "version":
      stdout.write(`${VERSION}\n`);
      return 0;
    case "wrong":
      return refuse(parsed.message, parsed.command);
    default:
      return unreachable(parsed);
  }
}

async function runCommand(command: Command, work: () => Promise<number>): Promise<number> {
  if (command.isProgram !== true) endAtOnce();
  try {
    return await work();
  } catch (error) {
    if (error instanceof WrongWords) return refuse(error.message, command);
    throw error;
  }
}

function refuse(message: string, command: Command | null): number {
  stderr.write(`posthaste: ${message}\n\n${usageOf(command)}`);
  return 2;
}

/** On Ctrl-C, and when the reader of the result is gone, as `head` is once it has its lines. */
function endAtOnce(): void {
  process.once("SIGINT", () => {
    if (stderr.isTTY) stderr.write("\n");
    process.exit(130);
  });
  stdout.on("error", () => process.exit(0));
}

function contextOf(): Context {
  const screen = createScreen(outOf(stdout), outOf(stderr), env);
  return { env, screen, stdin, surroundings: runtimeSurroundings, signal: new AbortController().signal };
}

const parsed = parseWords(commands, process.argv.slice(2), runtimeSurroundings.clock.now());
const isOwnProgram = parsed.kind === "run" && ["gateway", "processor"].includes(parsed.command.name);
// These do around their work what `runProgram` does, and would do it twice.
if (isOwnProgram) await run(parsed);
else await runProgram("posthaste", () => run(parsed));

/** What `help` shows: all commands, those of a group, or one with its options and examples. */
import { DISTRIBUTED_HELP, SETTINGS_HELP } from "@posthaste/shared/runtime/help.ts";
import type { Command, Operand } from "./command.ts";

export const EXIT_CODES = `  0    done
  1    failed, or refused by the gateway; of many things at once, at least one was
  2    a word, an option or a setting is wrong, and nothing was done
  130  ended by Ctrl-C
`;

const SETTINGS_OF_CALLS = `  POSTHASTE_URL           where the gateway listens (http://127.0.0.1:8080)
  POSTHASTE_API_KEY       the API key of commands that call it; without it that of posthaste dev in POSTHASTE_DATA
`;

/** As narrow as that it is still read with ease; the lists of settings are as wide as they are. */
const WIDTH_MAX = 110;
const WIDTH_MIN = 60;

/** `columns`: of the terminal. */
export function helpOf(commands: readonly Command[], words: readonly string[], columns = WIDTH_MAX): string {
  const [only] = commands;
  const width = Math.max(WIDTH_MIN, Math.min(columns, WIDTH_MAX));
  if (words.length === 0) return overview(commands, width);
  if (commands.length === 1 && only !== undefined) return helpOfOne(only, width);
  const usage = `Usage: posthaste ${words.join(" ")} <command>`;
  const more = `posthaste ${words.join(" ")} <command> --help shows options and examples.`;
  return `${usage}\n\n${rows(namesOf(commands), width)}\n${more}\n`;
}

/** The line that follows a message about wrong words. */
export function usageOf(command: Command | null): string {
  if (command === null) return "Usage: posthaste <command>\n\nposthaste help lists the commands.\n";
  return `Usage: posthaste ${synopsis(command)}\n\nposthaste ${command.name} --help shows options and examples.\n`;
}

/** Names of commands and their operands, as in `events show ID [options]`. */
export function synopsis({ name, operands, options }: Command): string {
  const hasOptions = Object.keys(options).length > 0;
  return [name, ...operands.map(operandWord), ...(hasOptions ? ["[options]"] : [])].join(" ");
}

export function optionWord(name: string, placeholder: string | null): string {
  return placeholder === null ? `--${name}` : `--${name} ${placeholder}`;
}

function operandWord({ name, isOptional, isMany }: Operand): string {
  const word = isMany === true ? `${name}...` : name;
  return isOptional === true ? `[${word}]` : word;
}

function overview(commands: readonly Command[], width: number): string {
  const [own, calls] = [commands.filter((one) => !isCall(one)), commands.filter(isCall)];
  const list = (some: readonly Command[]): string => rows(namesOf(some), width);
  return `Usage: posthaste <command>

${list(own)}
Commands that call a gateway:

${list(calls)}
posthaste <command> --help shows options and examples; --version the version. Exit codes:

${EXIT_CODES}
Settings are environment variables. Those of commands that call a gateway:

${SETTINGS_OF_CALLS}
Those of the programs:

${SETTINGS_HELP}
${DISTRIBUTED_HELP}`;
}

function isCall({ options }: Command): boolean {
  return Object.hasOwn(options, "key-file");
}

function namesOf(commands: readonly Command[]): readonly (readonly [string, string])[] {
  return commands.map(({ name, summary }) => [name, summary]);
}

function helpOfOne(command: Command, width: number): string {
  const { summary, about, operands, options, examples } = command;
  const optionRows = Object.entries(options).map(([name, option]): readonly [string, string] => [
    optionWord(name, option.placeholder),
    summaryOf(option),
  ]);
  const operandRows = operands.map((one): readonly [string, string] => [operandWord(one), one.summary]);
  const parts = [
    `Usage: posthaste ${synopsis(command)}`,
    [sentence(summary), ...(about === undefined ? [] : [about])].flatMap((part) => wrapped(part, width)).join("\n"),
    ...(operandRows.length === 0 ? [] : [rows(operandRows, width).trimEnd()]),
    ...(optionRows.length === 0 ? [] : [`Options:\n\n${rows(optionRows, width).trimEnd()}`]),
    `Examples:\n\n${examples.map((line) => `  ${line}`).join("\n")}`,
  ];
  return `${parts.join("\n\n")}\n`;
}

function summaryOf({ summary, isMany, choices }: Command["options"][string]): string {
  const listed = choices.length === 0 ? summary : `${summary}: ${choices.join(", ")}`;
  return isMany ? `${listed} (may be repeated)` : listed;
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function rows(pairs: readonly (readonly [string, string])[], width: number): string {
  const left = Math.max(...pairs.map(([word]) => word.length));
  return pairs
    .map(([word, about]) => {
      const [first = "", ...rest] = wrapped(about, width - left - 4);
      return [`  ${word.padEnd(left)}  ${first}\n`, ...rest.map((line) => `${" ".repeat(left + 4)}${line}\n`)].join("");
    })
    .join("");
}

function wrapped(about: string, width: number): readonly string[] {
  const lines = [""];
  for (const word of about.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

/** The words after `posthaste`, read by the table of commands. What is not understood is named, with the nearest that is. */
import { parseArgs } from "node:util";
import { editDistance } from "@posthaste/shared/domain/unknown-settings.ts";
import type { Command, Given, Options } from "./command.ts";
import { WrongWords } from "./option.ts";

export type Parsed =
  | { readonly kind: "run"; readonly command: Command; readonly given: Given<Options> }
  /** `of` holds the commands whose names begin with the words that were given: all, a group's, or one. */
  | { readonly kind: "help"; readonly of: readonly Command[]; readonly words: readonly string[] }
  | { readonly kind: "version" }
  /** `command` is null when it is not known which was meant. */
  | { readonly kind: "wrong"; readonly message: string; readonly command: Command | null };

const VERSION_WORDS = new Set(["--version", "-v", "version"]);

/** `nowMs`: what a span such as `30m` is counted from. */
export function parseWords(commands: readonly Command[], words: readonly string[], nowMs: number): Parsed {
  const isHelp = words.includes("--help") || words.includes("-h") || words[0] === "help";
  const plain = words.filter((word, at) => !/^(?:--help|-h)$/.test(word) && !(at === 0 && word === "help"));
  const [first, second] = plain;
  if (first === undefined) return { kind: "help", of: commands, words: [] };
  if (VERSION_WORDS.has(first)) return plain.length === 1 ? { kind: "version" } : extraOf("version", second ?? "");
  const command = commandOf(commands, plain);
  if (command !== undefined) {
    const parts = command.name.split(" ");
    return isHelp
      ? { kind: "help", of: [command], words: parts }
      : parseRest(command, plain.slice(parts.length), nowMs);
  }
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length === 0) return wrong(unknownCommand(commands, first));
  if (second === undefined) return { kind: "help", of: group, words: [first] };
  const names = group.map(({ name }) => name.slice(first.length + 1));
  if (second.startsWith("-")) return wrong(`${first} needs a command before ${second}: ${names.join(", ")}`);
  return wrong(`${first} has no command ${second}${didYouMean(second, names)}; it has ${names.join(", ")}`);
}

/** `; did you mean x?` for the nearest name that is not too far, else nothing. */
export function didYouMean(given: string, names: readonly string[]): string {
  let nearest = "";
  let least = Infinity;
  for (const name of names) {
    const isBeginning = given.length > 1 && (name.startsWith(given) || given.startsWith(name));
    const distance = isBeginning ? 0.5 : editDistance(given, name);
    if (distance < least) [nearest, least] = [name, distance];
  }
  return least <= Math.max(1, Math.min(3, Math.floor(given.length / 2))) ? `; did you mean ${nearest}?` : "";
}

function commandOf(commands: readonly Command[], [first, second]: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name === `${first} ${second}`) ?? commands.find(({ name }) => name === first);
}

function unknownCommand(commands: readonly Command[], word: string): string {
  if (word.startsWith("-")) return `there is no option ${word} before a command`;
  const names = new Set(commands.map(({ name }) => name.split(" ")[0] ?? name));
  return `there is no command ${word}${didYouMean(word, [...names])}`;
}

function parseRest(command: Command, rest: readonly string[], nowMs: number): Parsed {
  try {
    return { kind: "run", command, given: read(command, rest, nowMs) };
  } catch (error) {
    if (!(error instanceof WrongWords)) throw error;
    return { kind: "wrong", message: error.message, command };
  }
}

function read(command: Command, rest: readonly string[], nowMs: number): Given<Options> {
  const { tokens } = parseArgs({
    args: [...rest],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(command.options).map(([name, { placeholder }]) => [
        name,
        { type: placeholder === null ? "boolean" : "string", multiple: true } as const,
      ]),
    ),
  });
  const words = new Map<string, string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind === "option") {
      const value = optionValue(command, token, rest[token.index] ?? token.rawName);
      words.set(token.name, [...(words.get(token.name) ?? []), value]);
    }
  }
  return { operands: checkedOperands(command, operands), options: readOptions(command, words, nowMs) };
}

function optionValue(
  command: Command,
  token: { readonly name: string; readonly rawName: string; readonly value?: string | undefined },
  word: string,
): string {
  const { name, options } = command;
  const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
  if (option === undefined) throw new WrongWords(`${name} does not take ${word}${insteadOf(command, token.rawName)}`);
  if (option.placeholder === null) {
    if (token.value === undefined) return "";
    throw new WrongWords(`${token.rawName} takes no value`);
  }
  if (token.value !== undefined) return token.value;
  throw new WrongWords(`${token.rawName} needs a value: ${token.rawName} ${option.placeholder}`);
}

function insteadOf({ options, isProgram }: Command, given: string): string {
  const names = Object.keys(options).map((name) => `--${name}`);
  if (/^--(?:api-?)?key$/.test(given) && names.includes("--key-file")) {
    return ": everybody on this machine can read the words of a command. Set POSTHASTE_API_KEY, or name a file with --key-file";
  }
  const meant = didYouMean(given, names);
  if (meant !== "") return meant;
  if (names.length > 0) return `; there is ${names.join(", ")}`;
  return isProgram === true ? "; settings are environment variables" : "";
}

function readOptions({ options }: Command, words: ReadonlyMap<string, readonly string[]>, nowMs: number) {
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const given = words.get(name) ?? [];
    if (given.length > 1 && !option.isMany) throw new WrongWords(`--${name} is given more than once`);
    try {
      values[name] = option.read(given, nowMs);
    } catch (error) {
      throw error instanceof WrongWords ? new WrongWords(`--${name} ${error.message}`) : error;
    }
  }
  return values;
}

function checkedOperands({ name, operands, isProgram }: Command, given: readonly string[]): readonly string[] {
  const missing = operands[given.length];
  if (missing !== undefined && missing.isOptional !== true) {
    throw new WrongWords(`${name} needs ${missing.name}: ${missing.summary}`);
  }
  const empty = given.findIndex((word) => word === "");
  if (empty !== -1) throw new WrongWords(`${name} needs ${operands[empty]?.name ?? "a word"}, and got an empty word`);
  const extra = operands.at(-1)?.isMany === true ? undefined : given[operands.length];
  if (extra === undefined) return given;
  const why = isProgram === true && operands.length === 0 ? "; settings are environment variables" : "";
  throw new WrongWords(`${name} does not take ${extra}${why}`);
}

function extraOf(name: string, extra: string): Parsed {
  return wrong(`${name} does not take ${extra}`);
}

function wrong(message: string): Parsed {
  return { kind: "wrong", message, command: null };
}

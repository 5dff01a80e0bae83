/** docs/cli.md against the table of commands: each command, option and exit code is in it, and its examples are understood. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { commands } from "posthaste/commands/all.ts";
import { EXIT_CODES, optionWord, synopsis } from "posthaste/words/help.ts";
import { parseWords } from "posthaste/words/parse-words.ts";
import { START_MS } from "../support/samples.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/cli.md"), "utf8");
/** Told once for all commands that call a gateway. */
const SHARED = ["url", "key-file", "tenant", "json"];

function sectionOf(title: string): string {
  const [, rest] = page.split(`### ${title}\n`);
  assert.ok(rest !== undefined, `there is no section ${title}`);
  return rest.split(/^##/m)[0] ?? "";
}

test("each command has a section with its synopsis, each option with its value and choices, and its examples", () => {
  for (const command of commands) {
    const section = sectionOf(`posthaste ${synopsis(command)}`);
    const isCall = Object.hasOwn(command.options, "key-file");
    for (const [name, { placeholder, choices }] of Object.entries(command.options)) {
      if (isCall && SHARED.includes(name)) continue;
      const row = section.split("\n").find((line) => line.startsWith(`| \`${optionWord(name, placeholder)}\` |`));
      assert.ok(row !== undefined, `${command.name} --${name}`);
      for (const one of choices) assert.ok(row.includes(`\`${one}\``), `${command.name} --${name} ${one}`);
    }
    for (const example of command.examples) assert.ok(section.includes(example), example);
  }
  for (const name of SHARED) assert.match(page.split("### ")[0] ?? "", new RegExp(`\`--${name}`));
});

test("no section is of a command or an option that there is not", () => {
  const titles = [...page.matchAll(/^### posthaste (.*)$/gm)].map(([, title = ""]) => title);
  assert.deepEqual(titles.toSorted(), commands.map((command) => synopsis(command)).toSorted());
  for (const title of titles) {
    const command = commands.find((one) => synopsis(one) === title);
    const rows = [...sectionOf(`posthaste ${title}`).matchAll(/^\| `--([\w-]+)/gm)].map(([, name = ""]) => name);
    for (const name of rows) assert.ok(Object.hasOwn(command?.options ?? {}, name), `${title} --${name}`);
  }
});

test("every example of the page and of the help is understood", () => {
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block = ""]) => block.trim().split("\n"));
  const lines = [...blocks, ...commands.flatMap(({ examples }) => examples)];
  assert.ok(lines.length > 2 * commands.length);
  for (const line of lines) {
    const words = wordsOf(line);
    const begin = words.indexOf("posthaste") + 1;
    assert.ok(begin > 0, line);
    const end = words.findIndex((word, at) => at >= begin && /^[|>)]$/.test(word));
    const parsed = parseWords(commands, words.slice(begin, end === -1 ? undefined : end), START_MS);
    assert.equal(parsed.kind, "run", `${line}: ${parsed.kind === "wrong" ? parsed.message : ""}`);
  }
});

test("each exit code of the help stands in the table", () => {
  for (const [, code = "", meaning = ""] of EXIT_CODES.matchAll(/^ {2}(\d+) +(.*)$/gm)) {
    assert.ok(page.includes(`| ${code} | ${meaning} |`), code);
  }
});

/** As a shell splits the examples: quotes are taken off, and brackets of a substitution stand by themselves. */
function wordsOf(line: string): readonly string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"()])+|[()]/g) ?? [];
  return words.map((word) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2"));
}

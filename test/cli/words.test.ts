/** The words of the command line: what is understood, what is said of the rest, and what the help and the completion hold. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { commands } from "posthaste/commands/all.ts";
import { completionScript } from "posthaste/words/completion-script.ts";
import { helpOf } from "posthaste/words/help.ts";
import { spanMs } from "posthaste/words/option.ts";
import { parseWords } from "posthaste/words/parse-words.ts";
import { START_MS } from "../support/samples.ts";

function messageOf(...words: readonly string[]): string {
  const parsed = parseWords(commands, words, START_MS);
  return parsed.kind === "wrong" ? parsed.message : `understood as ${parsed.kind}`;
}

function optionsOf(...words: readonly string[]): Readonly<Record<string, unknown>> {
  const parsed = parseWords(commands, words, START_MS);
  assert.equal(parsed.kind, "run", messageOf(...words));
  return parsed.kind === "run" ? parsed.given.options : {};
}

test("a command of two words is found, with its operands and options in any order", () => {
  const parsed = parseWords(commands, ["events", "show", "--data", "evt_1", "--json"], START_MS);
  assert.ok(parsed.kind === "run");
  assert.deepEqual([parsed.command.name, parsed.given.operands], ["events show", ["evt_1"]]);
  assert.deepEqual([parsed.given.options["data"], parsed.given.options["json"]], [true, true]);
});

test("what is not known is answered with the nearest that is", () => {
  assert.equal(messageOf("evnets"), "there is no command evnets; did you mean events?");
  assert.match(messageOf("events", "lst"), /^events has no command lst; did you mean list\?; it has list, show/);
  assert.equal(
    messageOf("events", "list", "--sate", "dead"),
    "events list does not take --sate; did you mean --state?",
  );
  assert.equal(messageOf("xyzzy-quux"), "there is no command xyzzy-quux");
  assert.match(messageOf("events", "list", "--xyzzy"), /^events list does not take --xyzzy; there is --type, --state/);
  assert.equal(messageOf("--json"), "there is no option --json before a command");
});

test("values are read, and what they must be is said", () => {
  assert.equal(optionsOf("events", "list", "--limit", "5")["limit"], 5);
  assert.match(messageOf("events", "list", "--limit", "0"), /^--limit must be a whole number from 1 to/);
  assert.match(messageOf("events", "list", "--limit"), /^--limit needs a value: --limit N$/);
  assert.match(messageOf("events", "list", "--state", "gone"), /^--state must be one of pending, .*, and not "gone"$/);
  assert.match(messageOf("events", "list", "--since", "yesterday"), /^--since must be a time such as/);
  assert.equal(messageOf("events", "list", "--json=yes"), "--json takes no value");
  assert.equal(messageOf("events", "list", "--type", "a", "--type", "b"), "--type is given more than once");
  assert.equal(messageOf("events", "show"), "events show needs ID: the event's id, evt_... or one of your own");
  assert.equal(messageOf("events", "show", "a", "b"), "events show does not take b");
  assert.equal(messageOf("events", "show", ""), "events show needs ID, and got an empty word");
  assert.deepEqual(optionsOf("endpoints", "create", "u", "--rate-limit", "10/1000")["rate-limit"], {
    limit: 10,
    window_ms: 1000,
  });
  assert.equal(optionsOf("endpoints", "update", "u", "--batch", "none")["batch"], null);
  assert.match(messageOf("endpoints", "create", "u", "--retry", "soon"), /^--retry must be the seconds/);
});

test("a time may be a span, before now or ahead of it", () => {
  assert.deepEqual([spanMs("30m"), spanMs("2h"), spanMs("1x")], [1_800_000, 7_200_000, null]);
  const since = Date.parse(String(optionsOf("events", "list", "--since", "2h")["since"]));
  const later = Date.parse(String(optionsOf("publish", "a", "--deliver-at", "2h")["deliver-at"]));
  assert.ok(Math.abs(later - since - 4 * 3_600_000) < 5000);
  assert.equal(optionsOf("events", "list", "--since", "2026-01-31T00:00:00Z")["since"], "2026-01-31T00:00:00.000Z");
});

test("an API key among the words is refused, and told why", () => {
  const message = messageOf("events", "list", "--key", "phk_abc");
  assert.match(message, /everybody on this machine can read the words of a command\. Set POSTHASTE_API_KEY/);
  assert.ok(!message.includes("phk_abc"));
});

test("help is of all, of a group, of one command, and lies before all else", () => {
  const kinds = [[], ["help"], ["events"], ["events", "list", "--help"], ["help", "events", "list"], ["publish", "-h"]];
  const sizes = kinds.map((words) => {
    const parsed = parseWords(commands, words, START_MS);
    return parsed.kind === "help" ? parsed.of.length : -1;
  });
  assert.deepEqual(sizes, [commands.length, commands.length, 5, 1, 1, 1]);
});

test("every command has a help with examples that parse, and no line is wider than 110 but an example", () => {
  for (const command of commands) {
    const help = helpOf([command], command.name.split(" "));
    assert.match(help, new RegExp(`^Usage: posthaste ${command.name}\\b`));
    assert.ok(command.examples.length > 0, command.name);
    for (const example of command.examples) {
      assert.ok(help.includes(example));
      assert.match(example, new RegExp(`posthaste ${command.name}\\b`), example);
    }
    const examples = new Set(command.examples.map((example) => `  ${example}`));
    for (const line of (help.split("Settings are")[0] ?? "").split("\n"))
      assert.ok(line.length <= 110 || examples.has(line), line);
    for (const { summary } of Object.values(command.options)) assert.ok(!summary.endsWith("."), summary);
  }
});

test("bash completes commands, those of a group, options and their values", () => {
  const script = completionScript(commands, "bash");
  const completed = (...words: readonly string[]): readonly string[] => {
    const line = `${script}\nCOMP_WORDS=(posthaste ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}; _posthaste; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
    return stdout.split("\n").filter((word) => word !== "");
  };
  assert.deepEqual(completed("end"), ["endpoints"]);
  assert.deepEqual(completed("endpoints", "p"), ["pause"]);
  assert.deepEqual(completed("endpoints", "list", "--st"), ["--status"]);
  assert.deepEqual(completed("endpoints", "list", "--status", "pa"), ["paused"]);
  assert.deepEqual(completed("publish", "--prio"), ["--priority"]);
  assert.deepEqual(completed("publish", "--file", ""), []);
  assert.deepEqual(completed("completion", "b"), ["bash"]);
  assert.match(completionScript(commands, "zsh"), /bashcompinit/);
});

test("a span is counted from now, back or ahead as the option says, and a time stays as it is", () => {
  const at = (ms: number): string => new Date(START_MS + ms).toISOString();
  assert.equal(optionsOf("events", "list", "--since", "30m")["since"], at(-1_800_000));
  assert.equal(optionsOf("keys", "create", "--name", "k", "--expires", "30d")["expires"], at(30 * 86_400_000));
  assert.equal(optionsOf("events", "list", "--since", "2026-01-31T12:00:00Z")["since"], "2026-01-31T12:00:00.000Z");
});

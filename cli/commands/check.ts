/** `posthaste check`: what of this installation is wrong or risky, and what to do about it. */
import type { Finding } from "../check/finding.ts";
import { folderFindings } from "../check/folder.ts";
import { clockFinding, descriptorFinding, portFinding, runtimeFinding } from "../check/machine.ts";
import { readSettings } from "../check/settings.ts";
import { printable } from "../screen/printable.ts";
import type { Screen, Style } from "../screen/screen.ts";
import type { Command, Context } from "../words/command.ts";
import { defineCommand } from "../words/command.ts";
import { flag } from "../words/option.ts";

const MARKS = {
  fine: { mark: "ok   ", style: "green" },
  risky: { mark: "risky", style: "yellow" },
  wrong: { mark: "WRONG", style: "red" },
} as const satisfies Record<Finding["level"], { readonly mark: string; readonly style: Style }>;

const run = defineCommand({
  name: "check",
  summary: "looks at this installation: each wrong or risky setting with its remedy; needs no running server",
  about:
    "Run it with the settings of the program: the same environment, user and machine. It reads the settings as gateway, processor and serve do, looks at the data folder or at Redis and Kafka, and changes nothing. Exit code 1 when something is wrong, with --strict also when something is risky.",
  options: {
    strict: flag("risky is wrong, too"),
    json: flag("JSON for programs: one finding a line"),
  },
  examples: ["posthaste check", "posthaste check --strict --json | jq 'select(.level != \"fine\")'"],
  async run({ options }, context) {
    const { screen } = context;
    const counts = { fine: 0, risky: 0, wrong: 0 };
    for await (const finding of findingsOf(context)) {
      counts[finding.level] += 1;
      await screen.print(options.json ? `${JSON.stringify(finding)}\n` : lineOf(finding, screen));
    }
    const text = `${counts.wrong} wrong, ${counts.risky} risky, ${counts.fine} fine`;
    if (options.json) screen.say(text);
    else await screen.print(`\n${text}\n`);
    return counts.wrong > 0 || (options.strict && counts.risky > 0) ? 1 : 0;
  },
});

async function* findingsOf({ env, surroundings }: Context): AsyncGenerator<Finding, void, undefined> {
  const { config, distributed, findings } = readSettings(env);
  yield runtimeFinding(process.versions);
  yield* findings;
  yield descriptorFinding();
  yield clockFinding(new Date(surroundings.clock.now()));
  if (config !== null) yield await portFinding(config, surroundings.fetch);
  if (distributed !== null) {
    // The clients of Redis and Kafka are loaded for those who have them.
    const { storeFindings } = await import("../check/stores.ts");
    yield* await storeFindings(distributed);
  } else if (config !== null && (env["REDIS_URL"] ?? "") === "" && (env["KAFKA_BROKERS"] ?? "") === "") {
    yield* folderFindings(config);
  }
}

function lineOf({ level, about, what, remedy }: Finding, screen: Screen): string {
  const { mark, style } = MARKS[level];
  const head = `${screen.styled(style, mark)}  ${screen.styled("bold", printable(about))}: ${printable(what)}\n`;
  return remedy === null ? head : `${head}       ${printable(remedy)}\n`;
}

export const check: readonly Command[] = [run];

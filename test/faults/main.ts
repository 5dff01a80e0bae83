/**
 * `npm run test:faults -- [--only NAME]... [--list] [--json FILE]`: what stores, networks and programs may do to a running
 * system, and what it costs. Ends with 1 when anything accepted is lost, comes back late, or a scenario did not run.
 */
import { writeFileSync } from "node:fs";
import { readWords, refuseWords } from "../support/script-words.ts";
import type { Result } from "./result.ts";
import { runScenarios } from "./run-scenarios.ts";
import { scenarios } from "./scenarios.ts";
import { LEGEND, problemsIn, reasonsIn, tableOf } from "./table.ts";

const HELP = `Usage: npm run test:faults -- [--only NAME]... [--list] [--json FILE]

Runs gateways and processors on a Redis and a Kafka of its own, publishes, breaks something, mends it, and counts. One row for
each scenario. Ends with 1 when an accepted event is lost, when what was accepted is not settled 20 s after a single fault has
ended, or when a scenario did not run. All of them take about 25 minutes on two cores; a full disk needs root.

  --only NAME   this scenario alone; may be given several times, and ends with * for all that begin so
  --list        prints the names
  --json FILE   writes the results there, too

What is missing is installed first, as npm run services -- --help says.
`;

const { values } = readWords({
  help: HELP,
  options: {
    only: { type: "string", multiple: true, default: [] },
    list: { type: "boolean", default: false },
    json: { type: "string" },
  },
});

function chosen() {
  const { only } = values;
  if (only.length === 0) return scenarios;
  const isMeant = (word: string, name: string): boolean =>
    word.endsWith("*") ? name.startsWith(word.slice(0, -1)) : name === word;
  const unknown = only.filter((word) => !scenarios.some(({ name }) => isMeant(word, name)));
  if (unknown.length > 0) refuseWords(HELP, `There is no scenario ${unknown.join(", ")}; --list prints them.`);
  return scenarios.filter(({ name }) => only.some((word) => isMeant(word, name)));
}

async function main(): Promise<number> {
  const startedAt = performance.now();
  const wanted = chosen();
  const { results, failures } = await runScenarios(wanted, (result: Result) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0).padStart(5);
    console.log(
      `${seconds} s  ${result.scenario}: ${result.problems.length === 0 ? "good" : result.problems.join("; ")}`,
    );
  });
  console.log(`\n${tableOf(results)}\n\n${LEGEND}\n`);
  for (const reason of reasonsIn(results)) console.log(`REFUSED   ${reason}`);
  const problems = [...failures, ...problemsIn(results)];
  for (const problem of problems) console.log(`NOT GOOD  ${problem}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ results, failures }, null, 2)}\n`);
  const worst = Math.max(0, ...results.map(({ recoveryMs }) => recoveryMs ?? Infinity));
  const lost = results.reduce((sum, result) => sum + result.lost, 0);
  console.log(
    `${results.length} of ${wanted.length} scenarios ran in ${Math.round((performance.now() - startedAt) / 1000)} s, ` +
      `${lost} lost, worst recovery ${(worst / 1000).toFixed(1)} s, ${problems.length} not good`,
  );
  return problems.length === 0 && results.length === wanted.length ? 0 : 1;
}

// Ending at once is enough: programs and services end with this process, whichever way it ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
if (values.list) console.log(scenarios.map(({ name, layout }) => `${name.padEnd(40)}${layout}`).join("\n"));
else process.exit(await main());

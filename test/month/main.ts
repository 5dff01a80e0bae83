/**
 * `npm run month -- [--set embedded|distributed] [--visits N] [--every HOURS] [--seed N]`: four weeks on the virtual clock. Prints the sizes of
 * everything at each week's end, and ends with 1 when one of them grows.
 */
// First of all: it counts what every Map and Set holds that is made after it.
import { countMaps } from "../support/map-census.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMonthDistributed } from "./month-distributed.ts";
import { openMonthEmbedded } from "./month-embedded.ts";
import type { MonthOptions, MonthReport } from "./month-world.ts";
import { runMonth, WEEK } from "./month-world.ts";
import { countIn, readWords, refuseWords } from "../support/script-words.ts";
import { growths, sizesTable } from "./sizes.ts";

const HELP = `Usage: npm run month -- [--set embedded|distributed] [--visits N] [--every HOURS] [--seed N]

  --set NAME     one of the sets (default: both)
  --visits N     how often something happens in a week (default ${WEEK.visits})
  --every HOURS  and how many hours apart (default ${WEEK.everyHours}, which makes a whole week)
  --seed N       which month (default 1)

Takes minutes, touches no service and no network, and prints rows, bytes and entries of everything at the end of each week.
`;

const { values } = readWords({
  help: HELP,
  options: {
    set: { type: "string" },
    visits: { type: "string", default: String(WEEK.visits) },
    every: { type: "string", default: String(WEEK.everyHours) },
    seed: { type: "string", default: "1" },
  },
});
const SETS = ["embedded", "distributed"];

async function runOn(set: string, options: MonthOptions): Promise<MonthReport> {
  if (set === "distributed") return await runMonth(options, (place) => openMonthDistributed(place, countMaps));
  const folder = mkdtempSync(join(tmpdir(), "posthaste-month-"));
  try {
    return await runMonth(options, (place) => openMonthEmbedded(folder, place, countMaps));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** True when nothing grew. */
async function show(set: string): Promise<boolean> {
  const visits = countIn(HELP, "visits", values.visits);
  const everyHours = countIn(HELP, "every", values.every);
  const seed = countIn(HELP, "seed", values.seed);
  const { weeks, statuses, attempts } = await runOn(set, { visits, everyHours, seed });
  const length = `${visits} visits, ${everyHours} hours apart`;
  console.log(`\n${set}: four weeks of ${length}, at the end of each\n${sizesTable(weeks)}`);
  console.log(`answers ${JSON.stringify(Object.fromEntries(statuses))}, ${attempts} attempts`);
  const grown = growths(weeks);
  for (const each of grown) console.log(`GROWS: ${each}`);
  console.log(`${set}: ${grown.length} sizes grow`);
  return grown.length === 0;
}

const { set } = values;
if (set !== undefined && !SETS.includes(set))
  refuseWords(HELP, `--set must be embedded or distributed, and not ${set}`);
let isFlat = true;
for (const each of set === undefined ? SETS : [set]) isFlat = (await show(each)) && isFlat;
process.exit(isFlat ? 0 : 1);

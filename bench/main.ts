/**
 * `npm run bench [-- accept|deliver|islands] [--quick]`: prints ratios to the bare ceilings of the same run. Nothing is
 * asserted; a figure that depends on the machine is no test.
 */
import { benchAccept } from "./accept.ts";
import { benchDeliver } from "./deliver.ts";
import { benchIslands } from "./islands.ts";

const isQuick = process.argv.includes("--quick");
const names = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const rounds = isQuick ? 1 : 5;

const benches = {
  accept: () => benchAccept({ rounds, seconds: isQuick ? 2 : 4 }),
  deliver: () => benchDeliver({ rounds, events: isQuick ? 20_000 : 40_000 }),
  islands: () => benchIslands({ rounds, seconds: isQuick ? 5 : 20 }),
};

const chosen = names.length === 0 ? Object.keys(benches) : names;
for (const name of chosen) {
  const bench = Object.entries(benches).find(([known]) => known === name);
  if (bench === undefined) {
    process.stderr.write(`no bench named ${name}; there are ${Object.keys(benches).join(", ")}\n`);
    process.exit(2);
  }
  await bench[1]();
}

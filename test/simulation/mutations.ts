/**
 * `npm run test:mutations`: shows that the simulation finds what it is there for. Each patch in `mutations/` puts one mistake
 * into a copy of the source; seeds are run until one breaks a promise. A patch that does not apply, or is not caught, fails, and so does
 * one that is caught by a seed that fails without it.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countIn, readWords, refuseWords } from "../support/script-words.ts";

const HELP = `Usage: npm run test:mutations -- [--seeds N] [--only PART]

  --seeds N    seeds that a mutation has to be caught in (default 3000)
  --only PART  those alone whose name has this part

Puts one mistake after another into a copy of the source, and runs the simulation on it. Takes many minutes; needs git.
`;
const { values } = readWords({
  help: HELP,
  options: { seeds: { type: "string", default: "3000" }, only: { type: "string", default: "" } },
});
countIn(HELP, "seeds", values.seeds);

const root = join(import.meta.dirname, "../..");
const workspaces = ["shared", "gateway", "processor", "cli"] as const;

/** A copy of all that the simulation runs, which shares nothing of ours with the original but npm's packages. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), "posthaste-mutations-"));
  for (const folder of ["shared", "gateway", "processor", "test/simulation", "test/support"]) {
    cpSync(join(root, folder), join(copy, folder), {
      recursive: true,
      filter: (path) => !path.includes("node_modules"),
    });
  }
  cpSync(join(root, "package.json"), join(copy, "package.json"));
  const modules = join(copy, "node_modules");
  mkdirSync(join(modules, "@posthaste"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@posthaste" && name !== "posthaste")
      symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  for (const name of workspaces) symlinkSync(join(copy, name), join(modules, "@posthaste", name));
  return copy;
}

/**
 * A mistake that goes round without a wait ends no seed: its patch begins with `Hangs.`. The seeds that it needs take a
 * few seconds when they end, so this is no race.
 */
const HANG_MS = 60_000;
const HANG_SEEDS = "40";

interface Verdict {
  readonly isCaught: boolean;
  readonly words: string;
}

function plant(patch: string): Verdict {
  const copy = copyTree();
  try {
    const applied = spawnSync("git", ["apply", "--whitespace=nowarn", "-C1", patch], { cwd: copy, encoding: "utf8" });
    if (applied.status !== 0) return { isCaught: false, words: `does not apply: ${applied.stderr.trim()}` };
    // A patch may say where to begin, when what it breaks shows in a rare moment only.
    const words = readFileSync(patch, "utf8");
    const from = /^Needs .* Seeds from (\d+)\.$/m.exec(words)?.[1] ?? "1";
    const args = [
      "test/simulation/run-seeds.ts",
      "--seeds",
      words.startsWith("Hangs.") ? HANG_SEEDS : values.seeds,
      "--from",
      from,
    ];
    if (words.startsWith("In fleets.")) args.push("--fleet");
    const isToHang = words.startsWith("Hangs.");
    const timeout = isToHang ? HANG_MS : 0;
    const run = spawnSync(process.execPath, args, { cwd: copy, encoding: "utf8", maxBuffer: 2 ** 28, timeout });
    if (isToHang && run.signal !== null)
      return { isCaught: true, words: `caught: the world stands still for ${HANG_MS} ms` };
    const seed = /^SEED=(\d+)$/m.exec(run.stdout)?.[1];
    if (seed === undefined)
      return {
        isCaught: false,
        words: `not caught in ${values.seeds} seeds${run.status === 0 ? "" : `: ${run.stderr}`}`,
      };
    const violation = run.stdout
      .slice(run.stdout.indexOf(`SEED=${seed}`))
      .split("\n")[1]
      ?.trim()
      .slice(0, 160);
    // A mistake of our own catches every patch.
    const isOurs = !keepsPromises(seed, words.startsWith("In fleets."));
    return {
      isCaught: !isOurs,
      words: `${isOurs ? "without it, too, fails" : "caught by"} seed ${seed}: ${violation}`,
    };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Does the source as it is? */
function keepsPromises(seed: string, isFleet: boolean): boolean {
  const args = ["test/simulation/run-seeds.ts", "--seeds", "1", "--from", seed, ...(isFleet ? ["--fleet"] : [])];
  return spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28 }).status === 0;
}

const folder = join(import.meta.dirname, "mutations");
const patches = readdirSync(folder)
  .filter((name) => name.endsWith(".patch") && name.includes(values.only))
  .toSorted();
if (patches.length === 0) refuseWords(HELP, `no mutation has ${values.only} in its name`);
let missed = 0;
for (const name of patches) {
  const { isCaught, words } = plant(join(folder, name));
  console.log(`${isCaught ? "ok    " : "FAILED"}  ${name.replace(".patch", "")}: ${words}`);
  if (!isCaught) missed++;
}
console.log(`${patches.length - missed} of ${patches.length} mutations were caught`);
process.exitCode = missed === 0 ? 0 : 1;

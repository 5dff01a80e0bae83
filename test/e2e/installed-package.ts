/** What `npm run pack` makes, installed by npm where there is no checkout, with Node and npm on the PATH and no more. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Packed } from "posthaste/main/pack.ts";
import { packAll } from "posthaste/main/pack.ts";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";

export interface Packages extends Disposable {
  readonly program: Packed;
  readonly client: Packed;
  /** Has npm install the files, with its own options before them, into a new folder of this name. Its path. */
  install(name: string, ...words: readonly string[]): string;
  run(command: readonly string[], folder: string, env?: Readonly<Record<string, string>>): Ended;
}

export interface Ended {
  readonly status: number | null;
  /** Both streams. */
  readonly output: string;
}

/** As a first user's machine has it: without what npm puts before it for the scripts of a checkout. */
const PATH = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((folder) => !folder.includes("node_modules"))
  .join(delimiter);
/** Where npm finds its registry is the machine's affair; what npm says to a script that it runs is not for us. */
const OF_THE_MACHINE = /^HOME$|^npm_config_registry$|^NODE_EXTRA_CA_CERTS$|_proxy$/i;
export const machine: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && OF_THE_MACHINE.test(name) ? [[name, value]] : [],
    ),
  ),
  PATH,
};

export async function openPackages(): Promise<Packages> {
  const home = openTemporaryFolder("npm-package");
  const [program, client] = await packAll(join(home.path, "packed"));
  assert.ok(program !== undefined && client !== undefined);
  const run: Packages["run"] = ([file = "", ...words], cwd, env = {}) => {
    // A cache of its own: the first installation fetches the runtime, as a first user's does.
    const all = { ...machine, npm_config_cache: join(home.path, "cache"), NO_COLOR: "1", ...env };
    const { status, stdout, stderr, error } = spawnSync(file, words, { cwd, env: all, encoding: "utf8" });
    return { status, output: `${error?.message ?? ""}${stdout}${stderr}` };
  };
  return {
    program,
    client,
    install(name, ...words) {
      const folder = join(home.path, name);
      mkdirSync(folder);
      writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
      const { status, output } = run(["npm", "install", "--no-audit", "--no-fund", ...words], folder);
      assert.equal(status, 0, output);
      return folder;
    },
    run,
    [Symbol.dispose]: () => home[Symbol.dispose](),
  };
}

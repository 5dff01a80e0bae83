/** `npm run pack`: what is published, as npm packs it, `posthaste` and `@posthaste/client`, into `packed/`. On Bun, by its bundler. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { buildPackage } from "../npm-package.ts";

const ROOT = join(import.meta.dirname, "../..");

export interface Packed {
  readonly file: string;
  readonly bytes: number;
  readonly unpackedBytes: number;
}

/** Both tarballs, written into `folder`. */
export async function packAll(folder: string): Promise<readonly Packed[]> {
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(tmpdir(), "posthaste-pack-"));
  try {
    const [program, client] = [join(scratch, "posthaste"), join(scratch, "client")];
    await buildPackage(ROOT, program);
    run(join(ROOT, "node_modules/.bin/tsc"), [
      "-p",
      join(ROOT, "client/tsconfig.package.json"),
      "--outDir",
      join(client, "dist"),
    ]);
    for (const name of ["package.json", "README.md"]) cpSync(join(ROOT, "client", name), join(client, name));
    return [program, client].map((source) => {
      cpSync(join(ROOT, "LICENSE"), join(source, "LICENSE"));
      return pack(source, folder);
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What is in `source` is built: a script that builds it once more would look for the checkout. */
function pack(source: string, folder: string): Packed {
  const words = ["pack", source, "--ignore-scripts", "--json", "--pack-destination", folder];
  const [tarball] = JSON.parse(run("npm", words)) as readonly {
    readonly filename: string;
    readonly size: number;
    readonly unpackedSize: number;
  }[];
  if (tarball === undefined) throw new Error(`npm packed nothing of ${source}`);
  return { file: join(folder, tarball.filename), bytes: tarball.size, unpackedBytes: tarball.unpackedSize };
}

function run(file: string, words: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(file, words, { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`${file} ${words.join(" ")}: ${error?.message ?? ""}${stdout}${stderr}`);
  return stdout;
}

const HELP = `Usage: npm run pack

Writes packed/posthaste-VERSION.tgz and packed/posthaste-client-VERSION.tgz, and says how large they are. Each can be installed:
npm install FILE.
`;

async function main(): Promise<number> {
  const [word] = process.argv.slice(2);
  if (word === "--help" || word === "-h") {
    process.stdout.write(HELP);
    return 0;
  }
  if (word !== undefined) {
    process.stderr.write(`Unknown word '${word}'\n\n${HELP}`);
    return 2;
  }
  for (const { file, bytes, unpackedBytes } of await packAll(join(ROOT, "packed")))
    process.stdout.write(`${relative(ROOT, file)}: ${bytes} bytes, ${unpackedBytes} unpacked\n`);
  return 0;
}

if (import.meta.main) process.exitCode = await main();

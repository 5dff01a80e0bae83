/**
 * The folder that npm packs as `posthaste`: the programs and the worker as JavaScript with all they import but Bun. What differs
 * from the workspaces is that these are not published, so everything is inside, and that a tarball has no payloads for the demo.
 */
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { BuildConfig, BunPlugin } from "bun";
import { luaInside } from "@posthaste/shared/runtime/lua-inside.ts";
import { uplotInside } from "@posthaste/shared/runtime/uplot-inside.ts";
import own from "./package.json" with { type: "json" };

/** Each becomes `dist/<path>.js`; what they share is in chunks beside them. They are not minified, so that a stack trace can be read. */
const PROGRAMS = ["cli/main/posthaste.ts", "gateway/main/bun.ts", "processor/main/process.ts"];

const WORKER_TYPES = `/** A gateway for Cloudflare Workers and workerd. Its settings are variables and secrets of the worker. */
declare const worker: {
  fetch(
    request: Request,
    environment: Readonly<Record<string, string | undefined>>,
    context: { waitUntil(work: Promise<unknown>): void },
  ): Promise<Response>;
};
export default worker;
`;

/** The programs say that it is not installed, as for every package that is missing. */
const withoutDemo: BunPlugin = {
  name: "without-demo",
  setup(build) {
    build.onResolve({ filter: /^\.\.?\/demo\.ts$/ }, ({ path }) => ({ path, external: true }));
  },
};

/** It is required when it is asked for, by a name that the bundler does not see. */
const undiciInside: BunPlugin = {
  name: "undici-inside",
  setup(build) {
    build.onLoad({ filter: /http\/undici-client\.ts$/ }, ({ path }) => {
      const [before, after, ...more] = readFileSync(path, "utf8").split("createRequire(import.meta.url)(");
      if (before === undefined || after === undefined || more.length > 0) throw new Error(`${path} requires otherwise`);
      return { contents: `${before}require(${after}`, loader: "ts" };
    });
  },
};

/** Where a package lay at the build, which the bundler writes down for it; nothing is read from there. */
const OWN_PLACE = /^(\s*var __(?:dir|file)name = ")[^"]*(?=\/node_modules\/)/gm;

/** Writes it into `folder`, which is made. `root` is the checkout. Throws what the bundler says. */
export async function buildPackage(root: string, folder: string): Promise<void> {
  const dist = join(folder, "dist");
  const files = [
    await bundle({
      entrypoints: PROGRAMS.map((entry) => join(root, entry)),
      root,
      outdir: dist,
      target: "bun",
      splitting: true,
      naming: { entry: "[dir]/[name].js", chunk: "chunk-[hash].js" },
      plugins: [luaInside, uplotInside, undiciInside, withoutDemo],
    }),
    await bundle({
      entrypoints: [join(root, "gateway/main/worker.ts")],
      outdir: dist,
      target: "node",
      conditions: ["workerd", "worker"],
      minify: true,
      plugins: [luaInside],
    }),
    await bundle({
      entrypoints: [join(root, "cli/main/start-on-bun.ts")],
      outdir: join(folder, "bin"),
      target: "node",
    }),
  ];
  writeFileSync(join(dist, "worker.d.ts"), WORKER_TYPES);
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest(root), null, 2)}\n`);
  writeFileSync(join(folder, "THIRD-PARTY-LICENSES"), licenses(files.flat()));
  cpSync(join(root, "cli/README.md"), join(folder, "README.md"));
}

/** The folders of the packages of others that are inside. */
async function bundle(config: BuildConfig): Promise<readonly string[]> {
  const { metafile, outputs } = await Bun.build({ format: "esm", metafile: true, ...config });
  for (const { path } of outputs) writeFileSync(path, readFileSync(path, "utf8").replaceAll(OWN_PLACE, "$1"));
  const inputs = Object.keys(metafile?.inputs ?? {});
  const folders = inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? []);
  return folders.map((path) => resolve(path));
}

function manifest(root: string): object {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly dependencies: { readonly bun: string };
  };
  const { name, version, description, license, type } = own;
  return {
    name,
    version,
    description,
    license,
    type,
    bin: { posthaste: "bin/start-on-bun.js" },
    exports: {
      "./worker": { types: "./dist/worker.d.ts", default: "./dist/worker.js" },
      "./package.json": "./package.json",
    },
    files: ["bin", "dist", "THIRD-PARTY-LICENSES"],
    engines: { node: ">=20" },
    dependencies: { bun: dependencies.bun },
  };
}

/** Of each package that is inside, as its own folder has it. */
function licenses(folders: readonly string[]): string {
  const texts = [...new Set(folders)].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      readonly name: string;
      readonly version: string;
      readonly license?: string;
    };
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? `License: ${license ?? "see the package"}` : readFileSync(join(folder, file), "utf8");
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return texts.toSorted().join(`\n${"-".repeat(80)}\n\n`);
}

/** A gateway as one file, for runtimes that have no file system or run no TypeScript. By Bun's bundler, on Bun. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BunPlugin } from "bun";

const DIST = join(import.meta.dirname, "../dist");
const LUA_FOLDER = fileURLToPath(
  new URL("../", import.meta.resolve("@posthaste/shared/drivers/redis/client/lua-source.ts")),
);

/** There are no files beside it. */
const luaInside: BunPlugin = {
  name: "lua-inside",
  setup(build) {
    build.onLoad({ filter: /client\/lua-source\.ts$/ }, () => {
      const files = Array.from(new Bun.Glob("**/*.lua").scanSync(LUA_FOLDER)).toSorted();
      const texts = files.map((file) => [file.slice(0, -".lua".length), readFileSync(join(LUA_FOLDER, file), "utf8")]);
      return {
        contents: `const texts = ${JSON.stringify(Object.fromEntries(texts))}; export const luaSource = (file) => texts[file];`,
        loader: "js",
      };
    });
  },
};

/** The text of one file with all that `entry`, a file of this folder, needs. Throws what the bundler says. */
export async function bundle(
  entry: string,
  options: { readonly minify: boolean; readonly conditions?: string[] },
): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dirname, entry)],
    target: "node",
    format: "esm",
    plugins: [luaInside],
    ...options,
  });
  const [file] = built.outputs;
  if (file === undefined) throw new Error("the bundler gave nothing");
  return await file.text();
}

/** A build script that takes no words but `--help`: writes `gateway/dist/<file>`, and says how large it is. */
export async function writeBundle(
  file: string,
  { help, build }: { readonly help: string; readonly build: () => Promise<string> },
): Promise<void> {
  const [word] = process.argv.slice(2);
  if (word === "--help" || word === "-h") return void process.stdout.write(help);
  if (word !== undefined) {
    process.stderr.write(`Unknown word '${word}'\n\n${help}`);
    process.exitCode = 2;
    return;
  }
  const text = await build();
  const path = join(DIST, file);
  await Bun.write(path, text);
  const gzipBytes = Bun.gzipSync(Buffer.from(text)).length;
  process.stdout.write(`${path}: ${text.length} bytes, ${gzipBytes} gzipped\n`);
}

/** `npm run build:worker`: the gateway of Cloudflare Workers as one file, `gateway/dist/worker.js`, with the Lua inside. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BunPlugin } from "bun";

const HERE = import.meta.dirname;
const LUA_FOLDER = fileURLToPath(
  new URL("../", import.meta.resolve("@posthaste/shared/drivers/redis/client/lua-source.ts")),
);

/** There is no file system where it will run. */
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

/** The text of the worker. Throws what the bundler says. */
export async function buildWorker(): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(HERE, "worker.ts")],
    target: "node",
    format: "esm",
    conditions: ["workerd", "worker"],
    minify: true,
    plugins: [luaInside],
  });
  const [worker] = built.outputs;
  if (worker === undefined) throw new Error("the bundler gave nothing");
  return await worker.text();
}

const HELP = `Usage: npm run build:worker

Writes gateway/dist/worker.js, which gateway/wrangler.json names, and says how large it is. docs/edge.md has the rest.
`;

async function main(): Promise<void> {
  const [word] = process.argv.slice(2);
  if (word === "--help" || word === "-h") return void process.stdout.write(HELP);
  if (word !== undefined) {
    process.stderr.write(`Unknown word '${word}'\n\n${HELP}`);
    process.exitCode = 2;
    return;
  }
  const text = await buildWorker();
  const path = join(HERE, "../dist/worker.js");
  await Bun.write(path, text);
  const gzipBytes = Bun.gzipSync(Buffer.from(text)).length;
  process.stdout.write(`${path}: ${text.length} bytes, ${gzipBytes} gzipped\n`);
}

if (import.meta.main) await main();

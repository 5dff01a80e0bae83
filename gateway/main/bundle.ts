/** A gateway as one file, for runtimes that have no file system or run no TypeScript. By Bun's bundler, on Bun. */
import { join } from "node:path";
import { luaInside } from "@posthaste/shared/runtime/lua-inside.ts";
import { uplotInside } from "@posthaste/shared/runtime/uplot-inside.ts";

const DIST = join(import.meta.dirname, "../dist");

/** The text of one file with all that `entry`, a file of this folder, needs. Throws what the bundler says. */
export async function bundle(
  entry: string,
  options: { readonly minify: boolean; readonly conditions?: string[] },
): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dirname, entry)],
    target: "node",
    format: "esm",
    plugins: [luaInside, uplotInside],
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

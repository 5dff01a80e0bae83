/** For Bun's bundler: the Lua of the Redis drivers as part of the bundle, which has no files beside it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BunPlugin } from "bun";

const FOLDER = join(import.meta.dirname, "../drivers/redis");

export const luaInside: BunPlugin = {
  name: "lua-inside",
  setup(build) {
    build.onLoad({ filter: /client\/lua-source\.ts$/ }, () => {
      const files = Array.from(new Bun.Glob("**/*.lua").scanSync(FOLDER)).toSorted();
      const texts = files.map((file) => [file.slice(0, -".lua".length), readFileSync(join(FOLDER, file), "utf8")]);
      return {
        contents: `const texts = ${JSON.stringify(Object.fromEntries(texts))}; export const luaSource = (file) => texts[file];`,
        loader: "js",
      };
    });
  },
};

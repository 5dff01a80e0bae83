/** The one place that reads `.lua` files, so that a build without a file system can put another in its place. */
import { readFileSync } from "node:fs";

/** The text of a file below `drivers/redis/`, named without `.lua`. */
export function luaSource(file: string): string {
  return readFileSync(new URL(`../${file}.lua`, import.meta.url), "utf8");
}

/** Which API key a command uses, and where it came from. Never from the words of a command: everybody on a machine can read those. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Environment } from "@posthaste/shared/domain/config.ts";
import { OPERATOR_KEY_FILE } from "../operator-key.ts";
import { isOnThisMachine } from "./http-url.ts";
import { WrongWords } from "../words/option.ts";

export interface FoundKey {
  readonly apiKey: string;
  /** `POSTHASTE_API_KEY`, or the file's path. */
  readonly source: string;
  /** What its owner should mend. */
  readonly warning: string | null;
}

/**
 * `--key-file`, else `POSTHASTE_API_KEY`, else the key that `posthaste dev` keeps in its data folder, for a gateway on this machine alone.
 * Throws `WrongWords` that say how to give one.
 */
export function findKey(env: Environment, keyFile: string | undefined, url: string): FoundKey {
  if (keyFile !== undefined) return keyIn(keyFile);
  const { POSTHASTE_API_KEY: set = "" } = env;
  if (set !== "") return { apiKey: checked(set, "POSTHASTE_API_KEY"), source: "POSTHASTE_API_KEY", warning: null };
  const ownFile = join(env["POSTHASTE_DATA"] ?? "./.posthaste", OPERATOR_KEY_FILE);
  if (isOnThisMachine(url) && statSync(ownFile, { throwIfNoEntry: false })?.isFile() === true) return keyIn(ownFile);
  throw new WrongWords(
    "an API key is needed: set POSTHASTE_API_KEY, or name a file that holds it with --key-file. posthaste dev shows one at its start, and keeps it in .posthaste/operator.key, which is found from the folder that it was started in",
  );
}

function keyIn(path: string): FoundKey {
  const text = readText(path);
  const isOpen = (statSync(path).mode & 0o077) !== 0 && process.platform !== "win32";
  const warning = isOpen ? `${path} can be read by other users of this machine: chmod 600 ${path}` : null;
  return { apiKey: checked(text, path), source: path, warning };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new WrongWords(`the key file ${path} cannot be read: ${why}`);
  }
}

function checked(key: string, source: string): string {
  if (/^[!-~]+$/.test(key)) return key;
  throw new WrongWords(
    `${source} does not hold an API key: it is one word of visible ASCII characters, such as phk_...`,
  );
}

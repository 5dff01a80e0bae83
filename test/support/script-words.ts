/** The words behind a script of the repository, such as `npm run fuzz -- --seed 7`: its help, and what it does not know. */
import { parseArgs } from "node:util";
import type { ParseArgsOptionsConfig } from "node:util";

export interface ScriptWords<Options extends ParseArgsOptionsConfig> {
  /** What `--help` prints, and what follows a complaint. */
  readonly help: string;
  readonly options: Options;
  /** Words without dashes are taken, too. */
  readonly takesNames?: boolean;
}

/** Ends the process with 0 after its help when that is asked for, and with 2 for a word that is not known. */
export function readWords<Options extends ParseArgsOptionsConfig>(script: ScriptWords<Options>) {
  const words = process.argv.slice(2);
  if (words.includes("--help") || words.includes("-h")) {
    process.stdout.write(script.help);
    process.exit(0);
  }
  try {
    const { options, takesNames = false } = script;
    return parseArgs({ args: words, options, strict: true, allowPositionals: takesNames });
  } catch (error) {
    return refuseWords(script.help, error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error));
  }
}

/** A whole number from 1 on; ends the process with 2 for anything else. */
export function countIn(help: string, option: string, text: string): number {
  const count = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  return count > 0 ? count : refuseWords(help, `--${option} must be a whole number from 1 on, and not ${text}`);
}

export function refuseWords(help: string, complaint: string): never {
  process.stderr.write(`${complaint}\n\n${help}`);
  process.exit(2);
}

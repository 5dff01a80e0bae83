/** The command line in this process, against a gateway in this process: what it prints, and the code it ends with. */
import { commands } from "posthaste/commands/all.ts";
import type { Out } from "posthaste/screen/screen.ts";
import { createScreen } from "posthaste/screen/screen.ts";
import { WrongWords } from "posthaste/words/option.ts";
import { parseWords } from "posthaste/words/parse-words.ts";
import { runtimeSurroundings } from "@posthaste/client/surroundings.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  /** Columns of a terminal; null is none. */
  readonly columns?: number | null;
  readonly env?: Readonly<Record<string, string>>;
}

/** As `posthaste ...words` with the operator key of the harness. */
export async function runCommand(
  harness: GatewayHarness,
  words: readonly string[],
  { stdin = "", columns = null, env = {} }: RunOptions = {},
): Promise<Ran> {
  const parsed = parseWords(commands, words, harness.clock.now());
  if (parsed.kind === "wrong") return { code: 2, stdout: "", stderr: parsed.message };
  if (parsed.kind !== "run") throw new Error(`${words.join(" ")} is no command`);
  const [out, error] = [written(columns), written(columns)];
  const given = { POSTHASTE_API_KEY: harness.operatorKey, ...env };
  try {
    const code = await parsed.command.run(parsed.given, {
      env: given,
      screen: createScreen(out, error, given),
      stdin: piecesOf(stdin),
      surroundings: {
        ...runtimeSurroundings,
        clock: harness.clock,
        fetch: (url, init) => harness.gateway.fetch(new Request(url, init)),
      },
      signal: new AbortController().signal,
    });
    return { code, stdout: out.text(), stderr: error.text() };
  } catch (thrown) {
    if (!(thrown instanceof WrongWords)) throw thrown;
    return { code: 2, stdout: out.text(), stderr: thrown.message };
  }
}

/** The JSON lines of a result. */
export function rowsIn({ stdout }: Ran): readonly Record<string, unknown>[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function written(columns: number | null): Out & { readonly text: () => string } {
  let text = "";
  return {
    write: async (piece) => void (text += piece),
    isTerminal: columns !== null,
    columns: () => columns ?? undefined,
    text: () => text,
  };
}

async function* piecesOf(text: string): AsyncGenerator<Uint8Array> {
  // In small pieces, as a pipe gives them.
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

/** The real command line as a child process, watched by what it prints: tests wait for lines, never for time. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assertDocumented } from "../support/documented-answers.ts";

const entry = join(import.meta.dirname, "../../cli/main/posthaste.ts");

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child extends AsyncDisposable {
  /** All that was printed so far. */
  readonly printed: { readonly stdout: string; readonly stderr: string };
  readonly exited: Promise<Exit>;
  readonly pid: number;
  /** The first match in what was or will be printed; rejects with the whole output when the process ends without it. */
  match(pattern: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
}

export interface Folder extends Disposable {
  readonly path: string;
}

export function openFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "posthaste-cli-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs `posthaste ...words` with nothing but the given settings, a PATH and a folder of its own to be in. */
export function spawnPosthaste(words: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  return spawnWatched(process.execPath, [entry, ...words], env);
}

/** Any program in the same way; `file` is a path or a name that PATH leads to. */
export function spawnWatched(
  file: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Child {
  const { PATH: path = "" } = process.env;
  const printed = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  const child = spawn(file, words, {
    cwd: tmpdir(),
    env: { PATH: path, NO_COLOR: "1", STOP_NOTICE_S: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let isOver = false;
  const changed = (): void => {
    for (const watcher of watchers) watcher();
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      printed[name] += text;
      changed();
    });
  }
  const exited = new Promise<Exit>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      isOver = true;
      resolve({ code, signal });
      changed();
    });
  });
  return {
    printed,
    exited,
    pid: child.pid ?? 0,
    kill: (signal) => void child.kill(signal),
    match: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(printed.stdout) ?? pattern.exec(printed.stderr);
          if (found === null && !isOver) return;
          watchers.delete(look);
          if (found === null) reject(new Error(`ended without ${pattern}:\n${printed.stdout}${printed.stderr}`));
          else resolve(found);
        };
        watchers.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      if (!isOver) child.kill("SIGKILL");
      await exited;
    },
  };
}

export const TEST_KEY = "operator-key-of-the-end-to-end-tests";

export interface Serving extends Child {
  readonly url: string;
}

/** `posthaste serve` on a free port, allowed to reach the loopback, with `TEST_KEY`; resolves when it listens. */
export async function startServe(folder: string, env: Readonly<Record<string, string>> = {}): Promise<Serving> {
  const child = spawnPosthaste(["serve"], {
    PORT: "0",
    POSTHASTE_DATA: folder,
    POSTHASTE_OPERATOR_KEY: TEST_KEY,
    POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8",
    ...env,
  });
  const [, url = ""] = await child.match(/"event":"server\.listening","url":"([^"]+)"/);
  return { ...child, url };
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export async function call(url: string, path: string, body?: unknown, key: string = TEST_KEY): Promise<Answer> {
  const method = body === undefined ? "GET" : "POST";
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  // Processors have paths of their own, all of them outside of this.
  if (path.startsWith("/v1/"))
    assertDocumented({ method, path }, { status: response.status, headers: response.headers, text });
  return { status: response.status, body: JSON.parse(text) as Readonly<Record<string, unknown>> };
}

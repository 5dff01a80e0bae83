/**
 * The gateways and processors of a run. Each is watched as by a supervisor: one that ends by itself is started again, and
 * counted. What a fault ends is started again by whoever ends the fault.
 */
import { readFileSync } from "node:fs";
import type { Constellation } from "posthaste/constellation.ts";
import { openConstellation } from "posthaste/constellation.ts";
import type { Program } from "posthaste/program.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Answer } from "../e2e/posthaste-child.ts";
import { call } from "../e2e/posthaste-child.ts";

export type Kind = "gateway" | "processor";

export interface Fleet extends AsyncDisposable {
  readonly operatorKey: string;
  /** Those that are not known to be gone. */
  gatewayUrls(): readonly string[];
  count(kind: Kind): number;
  /** Asks one gateway after the other with the operator's key, until one answers. */
  ask(path: string, body?: unknown): Promise<Answer>;
  /** SIGKILL of so many; resolves once they are gone. */
  kill(kind: Kind, count: number): Promise<void>;
  /** SIGTERM of the oldest; null when it ended with 0 within the bound, else how it ended, with the last of what it printed. */
  stop(kind: Kind, withinMs: number): Promise<string | null>;
  /** Starts so many beside those that run, again and again while they end before they are ready. */
  start(kind: Kind, count: number): Promise<void>;
  /** SIGSTOP of the oldest; resolves it with SIGCONT. */
  freeze(kind: Kind): () => void;
  /** Programs that ended by themselves so far, with the last of what they printed. */
  readonly died: readonly string[];
  /** Resident memory of the largest of a kind, MiB. */
  rssMiB(kind: Kind): number;
}

export interface FleetOptions {
  readonly gateways: number;
  readonly processors: number;
  readonly env: Readonly<Record<string, string>>;
}

/** A program that is not ready by then is no use to anybody: longer than the 10 s in which it says so itself. */
const READY_WITHIN_MS = 60_000;
const START_AGAIN_MS = 500;
const GRACE_MS = 8000;
const PRINTED_CHARS = 1500;

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const constellation = await openConstellation({ ...options, graceMs: GRACE_MS });
  const closing = new AbortController();
  const expected = new WeakSet<Program>();
  const starting = new Set<Promise<void>>();
  const died: string[] = [];
  const all = { gateway: constellation.gateways, processor: constellation.processors };

  /** Resolves when it has ended and, unless it was ended, another is in its place. */
  async function watch(kind: Kind, program: Program): Promise<void> {
    const { code, signal } = await program.ended;
    remove(all[kind], program);
    if (expected.has(program) || closing.signal.aborted) return;
    died.push(`a ${kind} ended with ${signal ?? code}: ${program.printed().slice(-PRINTED_CHARS)}`);
    await start(kind, 1).catch((error: unknown) => died.push(String(error)));
  }
  async function startOne(kind: Kind): Promise<void> {
    const endAt = systemClock.monotonic() + READY_WITHIN_MS;
    for (;;) {
      try {
        void watch(kind, await constellation.add(kind));
        return;
      } catch (error) {
        if (closing.signal.aborted) return;
        if (systemClock.monotonic() > endAt) throw error;
        await systemClock.sleep(START_AGAIN_MS, closing.signal);
      }
    }
  }
  function start(kind: Kind, count: number): Promise<void> {
    const started = Promise.all(Array.from({ length: count }, () => startOne(kind))).then(() => undefined);
    const noted = started.catch(() => undefined).finally(() => starting.delete(noted));
    starting.add(noted);
    return started;
  }
  const oldest = (kind: Kind): Program => {
    const [program] = all[kind];
    if (program === undefined) throw new Error(`no ${kind} runs`);
    return program;
  };

  for (const kind of ["gateway", "processor"] as const) for (const program of all[kind]) void watch(kind, program);
  return {
    operatorKey: constellation.operatorKey,
    gatewayUrls: () => constellation.gateways.map(({ url }) => url),
    count: (kind) => all[kind].length,
    ask: (path, body) => askAny(constellation, path, body),
    async kill(kind, count) {
      const victims = all[kind].slice(0, count);
      for (const victim of victims) expected.add(victim);
      await Promise.all(victims.map((victim) => victim.end("SIGKILL")));
    },
    async stop(kind, withinMs) {
      const program = oldest(kind);
      expected.add(program);
      const timer = setTimeout(() => void program.end("SIGKILL"), withinMs);
      const { code, signal } = await program.end("SIGTERM");
      clearTimeout(timer);
      return code === 0 ? null : `${signal ?? code}: ${program.printed().slice(-PRINTED_CHARS)}`;
    },
    start,
    freeze(kind) {
      const { pid } = oldest(kind);
      process.kill(pid, "SIGSTOP");
      return () => process.kill(pid, "SIGCONT");
    },
    died,
    rssMiB: (kind) => Math.max(0, ...all[kind].map(({ pid }) => rssMiBOf(pid))),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await constellation[Symbol.asyncDispose]();
      await Promise.race([Promise.all(starting), systemClock.sleep(GRACE_MS, new AbortController().signal)]);
      // What became ready meanwhile.
      await constellation[Symbol.asyncDispose]();
    },
  };
}

async function askAny({ gateways, operatorKey }: Constellation, path: string, body: unknown): Promise<Answer> {
  let failure: unknown = new Error("no gateway runs");
  for (const { url } of gateways) {
    try {
      return await call(url, path, body, operatorKey);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function remove(programs: Program[], gone: Program): void {
  const at = programs.indexOf(gone);
  if (at >= 0) programs.splice(at, 1);
}

function rssMiBOf(pid: number): number {
  try {
    const [, kib = "0"] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kib) / 1024;
  } catch {
    return 0;
  }
}

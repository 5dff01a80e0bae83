/**
 * Several gateway processes on one port (`GATEWAY_PROCESSES`): the parent starts them, replaces those that end, and ends with
 * them. It takes no requests itself. By `node:cluster`, so that the port is shared among these processes alone: another
 * program on it is refused, as ever.
 */
import cluster from "node:cluster";
import type { Worker } from "node:cluster";
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";
import { CHILD_NUMBER } from "@posthaste/shared/domain/unknown-settings.ts";
import { mergedExposition } from "@posthaste/shared/drivers/metrics/merged-exposition.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import { backoffMs } from "@posthaste/shared/lib/retry.ts";
import type { Log } from "@posthaste/shared/telemetry/log.ts";
import type { FromChild, FromParent } from "./messages.ts";
import { ignoreFailure, isMessage } from "./messages.ts";
import type { Questions } from "./questions.ts";
import { createQuestions } from "./questions.ts";

export interface ParentDeps {
  /** 2 or more. */
  readonly count: number;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly stopped: Promise<void>;
}

/** A process that ended is followed by another after this, and later each time that one ends before it was well for long. */
const AGAIN = { firstMs: 200, maxMs: 30_000 };
const WELL_MS = 60_000;
/** A process is asked whether it is there, and killed when it has not answered so often in a row: it stands still. */
const ASK_MS = 5000;
const UNANSWERED_MAX = 6;
/** For what each process has measured. Those that are late are left out. */
const MEASURED_MS = 2000;

interface End {
  /** 1 where a signal ended it. */
  readonly code: number;
  readonly signal: string | null;
}

interface Child {
  readonly index: number;
  readonly pid: number;
  readonly questions: Questions;
  readonly ended: Promise<End>;
  /** Resolves when it takes requests; never when it ends before. */
  readonly listening: Promise<void>;
  hasListened(): boolean;
  kill(): void;
  tell(message: FromParent): boolean;
}

/** Resolves with the exit code when all have ended: after `stopped`, or as none could be started. */
export async function runProcesses(deps: ParentDeps): Promise<number> {
  const children = new Map<number, Child>();
  const stopping = new AbortController();
  const stop = (): void => {
    stopping.abort();
    for (const child of children.values()) child.tell({ kind: "stop" });
  };
  void deps.stopped.then(stop);
  const keeping = { ...deps, children, stopping: stopping.signal, giveUp: stop };
  // The first comes alone: what is wrong with the settings or the stores is said once.
  const first = startChild(keeping, 0);
  // Whatever ends us ends them: a second signal, and a stop that takes too long.
  process.once("exit", () => children.forEach(({ kill }) => kill()));
  const begun = await Promise.race([first.listening, first.ended]);
  if (begun !== undefined) return codeOf(keeping, first, begun);
  const rest = Array.from({ length: deps.count - 1 }, (_, index) => keep(keeping, index + 1, null));
  const codes = await Promise.all([keep(keeping, 0, first), ...rest]);
  return Math.max(...codes);
}

interface Keeping extends ParentDeps {
  /** Those that live, by number. */
  readonly children: Map<number, Child>;
  readonly stopping: AbortSignal;
  /** Ends the others, too. */
  readonly giveUp: () => void;
}

/** Sees to it that there is a process of this number until the stop. Resolves with the last one's exit code. */
async function keep(deps: Keeping, index: number, first: Child | null): Promise<number> {
  const { clock, entropy, log, stopping } = deps;
  let child = first;
  let failures = 0;
  for (;;) {
    if (child === null && stopping.aborted) return 0;
    child ??= startChild(deps, index);
    const startedAt = clock.monotonic();
    const { pid, ended } = child;
    const { code, signal } = await ended;
    if (stopping.aborted) return code;
    // None is left, and none can be started: whoever supervises us is to know.
    if (deps.children.size === 0 && !child.hasListened()) {
      deps.giveUp();
      return codeOf(deps, child, { code, signal });
    }
    if (clock.monotonic() - startedAt >= WELL_MS) failures = 0;
    const waitMs = Math.round(backoffMs(failures, AGAIN, entropy));
    failures += 1;
    log.write("error", "gateway.process_ended", { process: index, pid, code, signal, again_in_ms: waitMs });
    await clock.sleep(waitMs, stopping).catch(() => undefined);
    child = null;
  }
}

/** Of the program, when no process is left; what a process did not say itself is said here. */
function codeOf({ log, stopping }: Keeping, { index, pid }: Child, { code, signal }: End): number {
  if (stopping.aborted) return code;
  if (signal !== null || code === 0) log.write("error", "gateway.process_ended", { process: index, pid, code, signal });
  return Math.max(1, code);
}

function startChild(deps: Keeping, index: number): Child {
  const { clock, children, log } = deps;
  const worker = cluster.fork({ [CHILD_NUMBER]: String(index) });
  const questions = createQuestions(clock, MEASURED_MS);
  const { promise: listening, resolve: listens } = Promise.withResolvers<void>();
  const { promise: ended, resolve: end } = Promise.withResolvers<End>();
  const pid = worker.process.pid ?? 0;
  let hasListened = false;
  const tell = (message: FromParent): boolean => {
    if (!worker.isConnected()) return false;
    worker.send(message, ignoreFailure);
    return true;
  };
  const kill = (): void => void worker.process.kill("SIGKILL");
  const child: Child = { index, pid, questions, ended, listening, hasListened: () => hasListened, tell, kill };
  const presence = watchPresence(clock, tell, () => {
    log.write("error", "gateway.process_stands_still", { process: index, pid });
    kill();
  });
  const hear = async (message: FromChild): Promise<void> => {
    presence.seen();
    // It may not have heard it: a process that is being loaded hears nothing.
    if (deps.stopping.aborted) tell({ kind: "stop" });
    if (message.kind === "listening") {
      hasListened = true;
      listens();
    }
    if (message.kind === "measured") questions.answered(message.id, message.text);
    if (message.kind === "collect") {
      const text = await collect(children, message.format);
      tell({ kind: "collected", id: message.id, text });
    }
  };
  worker.on("message", (message: unknown) => {
    if (isMessage(message)) hear(message as FromChild).catch(ignoreFailure);
  });
  children.set(index, child);
  onEnd(worker, (given) => {
    presence.end();
    if (children.get(index) === child) children.delete(index);
    end(given);
  });
  return child;
}

/** Also of one that could not be started, as when the machine has no process or descriptor left: it tells of an error, and of no exit. */
function onEnd(worker: Worker, ended: (end: End) => void): void {
  worker.on("error", () => {
    if (worker.process.pid === undefined) ended({ code: 1, signal: null });
  });
  worker.once("exit", (code: number | null, signal: string | null) => ended({ code: code ?? 1, signal }));
}

/** Asks now and then, and tells when several questions in a row had no answer. */
function watchPresence(clock: Clock, tell: (message: FromParent) => boolean, isMissing: () => void) {
  let unanswered = 0;
  let cancel = clock.timer(ASK_MS, ask);
  function ask(): void {
    if (unanswered >= UNANSWERED_MAX) return isMissing();
    // One whose channel is lost cannot be asked, and answers nothing either.
    tell({ kind: "are-you-there" });
    unanswered += 1;
    cancel = clock.timer(ASK_MS, ask);
  }
  return {
    seen: () => void (unanswered = 0),
    end: () => cancel(),
  };
}

/** Of all that answer in time, by number. */
async function collect(children: ReadonlyMap<number, Child>, format: MetricsFormat): Promise<string> {
  const texts = await Promise.all(
    Array.from(children.values(), async ({ index, questions, tell }) => {
      const text = await questions.ask((id) => tell({ kind: "measure", id, format }));
      return [index, text ?? ""] as const;
    }),
  );
  return mergedExposition(new Map(texts.toSorted(([one], [other]) => one - other)), format);
}

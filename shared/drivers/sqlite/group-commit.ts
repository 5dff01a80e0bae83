/**
 * The one writer of the database. All stores hand their writes in here; what comes together in a tick is one
 * transaction and one fsync. Order of operations = order of the calls. A promise resolves after COMMIT, never before.
 */
import type { Clock } from "../../lib/ambient.ts";
import type { BatchResult } from "../../lib/batcher.ts";
import { createBatcher } from "../../lib/batcher.ts";
import { PosthasteError, isStoreUnavailable } from "../../domain/errors.ts";
import type { Database } from "./database.ts";
import { folderFaultInShort } from "../../domain/folder-fault.ts";
import { sqliteCode } from "./database.ts";

export interface GroupCommit {
  /**
   * Runs `operation` within the next transaction. It must touch the database alone, since it may be rolled back and
   * run again. `committed` runs right after COMMIT, before anyone else's turn: the place to change memory. What it
   * throws goes to `onFault` and changes no result, since what was committed is committed.
   * When it throws, it alone is rolled back and rejects. Rejects with `store-unavailable` when COMMIT fails,
   * with `overloaded` when too much waits. `bytes` is about what the operation writes.
   */
  write<Result>(operation: () => Result, bytes: number, committed?: (result: Result) => void): Promise<Result>;
  /** As `write`, in the same order, for what may be lost: past `POSTS_WAITING_MAX` it is dropped and counted. */
  post(operation: () => void): void;
  /** Resolves when everything handed in so far is committed, or has failed. */
  flush(): Promise<void>;
  /** Posted operations that were dropped or failed, since the start. */
  lostCount(): number;
  /** Null, or one sentence about what is wrong; tries a write when one failed, for small ones may fit where others do not. */
  health(): Promise<string | null>;
  /** Calls `listener` after each commit that wrote something. What it throws goes to `onFault`. */
  onCommit(listener: () => void): void;
}

/** Operations of one transaction: few enough that one takes well under 100 ms. */
export const COMMIT_ITEMS_MAX = 2048;
export const COMMIT_BYTES_MAX = 8 * 1024 * 1024;
/** Writes, posted ones included, that may wait for their transaction. */
export const WRITES_WAITING_MAX = 150_000;
export const POSTS_WAITING_MAX = 50_000;

interface Operation {
  readonly run: () => unknown;
  readonly committed: ((result: never) => void) | undefined;
}

/** What `health` writes to see whether there is space again: more than an event usually takes. */
const PROBE_BYTES = 64 * 1024;

const SQLITE_ERROR = 1;
const SQLITE_CONSTRAINT = 19;
const SQLITE_MISMATCH = 20;
const SQLITE_MISUSE = 21;
const SQLITE_RANGE = 25;
/** Codes that speak of a mistake in our SQL, not of the state of the disk. */
const MISTAKES: ReadonlySet<number> = new Set([
  SQLITE_ERROR,
  SQLITE_CONSTRAINT,
  SQLITE_MISMATCH,
  SQLITE_MISUSE,
  SQLITE_RANGE,
]);

export function createGroupCommit(options: {
  readonly database: Database;
  readonly clock: Clock;
  readonly postsWaitingMax?: number;
  /** Gets what a `committed` callback or a listener threw; the others are called all the same. Must not throw. */
  readonly onFault?: (error: unknown) => void;
}): GroupCommit {
  const { database, clock, postsWaitingMax = POSTS_WAITING_MAX, onFault } = options;
  const listeners: (() => void)[] = [];
  let postsWaiting = 0;
  let lost = 0;
  /** Of the last write that failed, until a probe is good again. */
  let failure: string | null = null;
  let probing: Promise<string | null> | null = null;

  const batcher = createBatcher<Operation, unknown>({
    clock,
    flush: commitAll,
    itemsMax: COMMIT_ITEMS_MAX,
    bytesMax: COMMIT_BYTES_MAX,
    waitingMax: WRITES_WAITING_MAX,
    overflow: () =>
      new PosthasteError("overloaded", {
        detail: "Too many writes wait for the disk; try again later.",
        retryAfterS: 1,
      }),
  });

  function commitAll(operations: readonly Operation[]): readonly BatchResult<unknown>[] {
    const settled = runTogether(database, operations, false) ?? runEachAlone(database, operations);
    const isCommitted = settled.some(({ kind }) => kind === "done");
    failure = storeFailureOf(settled) ?? failure;
    settled.forEach((entry, index) => {
      if (entry.kind === "done") guarded(() => operations[index]?.committed?.(entry.value as never), onFault);
    });
    if (isCommitted) for (const listener of listeners) guarded(listener, onFault);
    return settled;
  }

  async function probe(): Promise<string | null> {
    failure = null;
    const write = `INSERT OR REPLACE INTO health_probes VALUES (1, zeroblob(${PROBE_BYTES}))`;
    await writer.write(() => database.exec(write), 0).catch(() => undefined);
    return failure;
  }

  const writer: GroupCommit = {
    write<Result>(operation: () => Result, bytes: number, committed?: (result: Result) => void): Promise<Result> {
      return batcher.add({ run: operation, committed }, bytes) as Promise<Result>;
    },
    post(operation) {
      if (postsWaiting >= postsWaitingMax) {
        lost++;
        return;
      }
      postsWaiting++;
      batcher.add({ run: operation, committed: undefined }, 0).then(
        () => postsWaiting--,
        () => {
          postsWaiting--;
          lost++;
        },
      );
    },
    async flush() {
      if (batcher.waitingCount() === 0) return;
      // An empty operation behind the others; waiting for an idle moment would never end under steady load.
      await writer.write(() => undefined, 0).catch(() => undefined);
    },
    lostCount: () => lost,
    async health() {
      if (failure === null && probing === null) return null;
      probing ??= probe().finally(() => {
        probing = null;
      });
      return probing;
    },
    onCommit: (listener) => void listeners.push(listener),
  };
  return writer;
}

/** COMMIT has decided: nothing that is thrown from there on may make a durable write look like a failed one. */
function guarded(callback: () => void, onFault: ((error: unknown) => void) | undefined): void {
  try {
    callback();
  } catch (error) {
    onFault?.(error);
  }
}

/** What the store itself could not do, if it was that; a refused operation is no fault of the store. */
function storeFailureOf(settled: readonly BatchResult<unknown>[]): string | null {
  for (const entry of settled) {
    if (entry.kind !== "done" && isStoreUnavailable(entry.error)) return entry.error.message;
  }
  return null;
}

/** The error a caller meets for what SQLite or the disk refused. Their own words are its cause, for the log alone. */
export function storeError(error: unknown): unknown {
  if (error instanceof PosthasteError || !(error instanceof Error)) return error;
  const code = sqliteCode(error);
  const isClosed = "code" in error && error.code === "ERR_INVALID_STATE";
  if (!isClosed && (code === null || MISTAKES.has(code))) return error;
  const what = folderFaultInShort(code);
  const detail = `The data folder cannot be used just now${what === null ? "" : `: ${what}`}.`;
  return new PosthasteError("store-unavailable", { detail, retryAfterS: 5 }, error);
}

/** One transaction for all. When an operation throws everything is rolled back: null, or all failed if it `isLast` try. */
function runTogether(
  database: Database,
  operations: readonly Operation[],
  isLast: boolean,
): BatchResult<unknown>[] | null {
  let isRunning = false;
  try {
    database.exec("BEGIN IMMEDIATE");
    isRunning = true;
    const settled = operations.map(({ run }): BatchResult<unknown> => ({ kind: "done", value: run() }));
    isRunning = false;
    database.exec("COMMIT");
    return settled;
  } catch (error) {
    rollBack(database);
    return isRunning && !isLast ? null : allFailed(operations, error);
  }
}

/** Each within a savepoint of its own, so that one that throws takes nothing else with it; still one fsync. */
function runEachAlone(database: Database, operations: readonly Operation[]): BatchResult<unknown>[] {
  try {
    database.exec("BEGIN IMMEDIATE");
    const settled = operations.map((operation) => runInSavepoint(database, operation));
    if (settled.every((entry) => entry !== null)) {
      database.exec("COMMIT");
      return settled;
    }
  } catch (error) {
    rollBack(database);
    return allFailed(operations, error);
  }
  // SQLite ended the transaction itself, as it does on a full disk: what still fits is written one by one.
  rollBack(database);
  return operations.flatMap((operation) => runTogether(database, [operation], true) ?? []);
}

/** Null when there is no transaction any more. */
function runInSavepoint(database: Database, { run }: Operation): BatchResult<unknown> | null {
  if (!database.isInTransaction()) return null;
  database.exec("SAVEPOINT operation");
  try {
    const value = run();
    database.exec("RELEASE operation");
    return { kind: "done", value };
  } catch (error) {
    if (!database.isInTransaction()) return null;
    database.exec("ROLLBACK TO operation");
    database.exec("RELEASE operation");
    return { kind: "failed", error: storeError(error) };
  }
}

function rollBack(database: Database): void {
  try {
    if (database.isInTransaction()) database.exec("ROLLBACK");
  } catch {
    // The handle is closed or the disk is gone: there is no transaction left to end.
  }
}

function allFailed(operations: readonly Operation[], error: unknown): BatchResult<unknown>[] {
  const failed = storeError(error);
  return operations.map(() => ({ kind: "failed", error: failed }));
}

/** Operations in one transaction: together as long as none throws, else each so that it takes nothing else with it. */
import type { BatchResult } from "../../lib/batcher.ts";
import type { Database } from "./database.ts";
import { storeError } from "./store-error.ts";

export interface Operation {
  readonly run: () => unknown;
  readonly committed: ((result: never) => void) | undefined;
}

/**
 * One transaction for the first operations, until `isOver`, at least one. When an operation throws everything is rolled back:
 * null, or all failed if it is the only one.
 */
export function runTogether(
  database: Database,
  operations: readonly Operation[],
  isOver: () => boolean,
): BatchResult<unknown>[] | null {
  const settled: BatchResult<unknown>[] = [];
  let isRunning = false;
  try {
    database.exec("BEGIN IMMEDIATE");
    isRunning = true;
    for (const { run } of operations) {
      settled.push({ kind: "done", value: run() });
      if (isOver()) break;
    }
    isRunning = false;
    database.exec("COMMIT");
    return settled;
  } catch (error) {
    rollBack(database);
    if (isRunning) return operations.length > 1 ? null : allFailed(operations, error);
    return allFailed(operations.slice(0, Math.max(1, settled.length)), error);
  }
}

/** Each within a savepoint of its own, so that one that throws takes nothing else with it; still one fsync. */
export function runEachAlone(database: Database, operations: readonly Operation[]): BatchResult<unknown>[] {
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
  return operations.flatMap((operation) => runTogether(database, [operation], () => true) ?? []);
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

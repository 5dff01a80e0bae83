/**
 * The database as one simulated process sees it: the real SQLite in memory, which outlives the process. A commit may
 * fail, or the process may die right before it or right after, before anyone has heard of it.
 */
import type { DatabaseSync } from "node:sqlite";

export type CommitFate = "commit" | "fail" | "die-before" | "die-after";

/** What everything throws that a dead process still tries. */
export class DeadProcess extends Error {
  constructor() {
    super("the simulated process is dead");
    this.name = "DeadProcess";
  }
}

/** `errcode` as SQLite gives it. */
class DiskFault extends Error {
  readonly errcode = 10;
  constructor() {
    super("disk I/O error (simulated)");
    this.name = "DiskFault";
  }
}

export interface Disk {
  /** A process's own view. */
  forProcess(view: {
    readonly isAlive: () => boolean;
    readonly die: (why: string) => void;
    /** Asked at each COMMIT. */
    readonly fateOfCommit: () => CommitFate;
  }): DatabaseSync;
}

/** Statements are prepared once for all processes of the world; that saves most of a restart. */
export function createDisk(handle: DatabaseSync): Disk {
  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();

  function statementOf(sql: string): ReturnType<DatabaseSync["prepare"]> {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = handle.prepare(sql);
      statements.set(sql, statement);
    }
    return statement;
  }

  return {
    forProcess({ isAlive, die, fateOfCommit }) {
      const guard = (): void => {
        if (!isAlive()) throw new DeadProcess();
      };
      const commit = (): void => {
        const fate = fateOfCommit();
        handle.exec(fate === "commit" || fate === "die-after" ? "COMMIT" : "ROLLBACK");
        if (fate === "commit") return;
        if (fate === "fail") throw new DiskFault();
        die(fate === "die-after" ? "right after a commit" : "right before a commit");
        throw new DeadProcess();
      };
      const view = {
        get isTransaction() {
          return isAlive() && handle.isTransaction;
        },
        exec(sql: string) {
          guard();
          if (sql === "COMMIT") commit();
          else handle.exec(sql);
        },
        prepare(sql: string) {
          guard();
          const statement = statementOf(sql);
          if (sql === "COMMIT") return { run: commit, get: commit, all: commit };
          type Values = Parameters<typeof statement.all>;
          const guarded =
            <Result>(method: "run" | "get" | "all") =>
            (...values: Values): Result => {
              guard();
              return statement[method](...values) as Result;
            };
          return { run: guarded("run"), get: guarded("get"), all: guarded("all") };
        },
        close: () => undefined,
      };
      // The drivers use these members alone, which their own port `Database` says.
      return view as unknown as DatabaseSync;
    },
  };
}

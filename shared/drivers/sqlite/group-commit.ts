/**
 * The one writer of the database. All stores hand their writes in here; what comes together in a tick is one
 * transaction and one fsync, as long as that takes a few milliseconds. Order of operations = order of the calls, but what
 * publishers wait for takes turns with the rest, and begins, and one tenant's takes turns with another's. A promise resolves after COMMIT, never before.
 */
import type { Clock } from "../../lib/ambient.ts";
import type { BatchResult } from "../../lib/batcher.ts";
import { createBatcher } from "../../lib/batcher.ts";
import { createCompany } from "../../lib/company.ts";
import { PosthasteError, isStoreUnavailable } from "../../domain/errors.ts";
import type { Database } from "./database.ts";
import type { Operation } from "./transaction.ts";
import { runEachAlone, runTogether } from "./transaction.ts";

export interface GroupCommit {
  /**
   * Runs `operation` within the next transaction. It must touch the database alone, since it may be rolled back and
   * run again. `committed` runs right after COMMIT, before anyone else's turn: the place to change memory. What it
   * throws goes to `onFault` and changes no result, since what was committed is committed.
   * When it throws, it alone is rolled back and rejects. Rejects with `store-unavailable` when COMMIT fails,
   * with `overloaded` when too much waits. `bytes` is about what the operation writes.
   */
  write<Result>(operation: () => Result, bytes: number, committed?: (result: Result) => void): Promise<Result>;
  /**
   * As `write`, for what a publisher waits for: by turns with all writes that are not urgent, however many of those wait, and
   * with those of other tenants. Order of operations = order of the calls of one tenant.
   */
  writeUrgent<Result>(
    tenant: string,
    operation: () => Result,
    bytes: number,
    committed?: (result: Result) => void,
  ): Promise<Result>;
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

/** Operations of one transaction at most. */
export const COMMIT_ITEMS_MAX = 2048;
/**
 * After so long a transaction takes no further operation and is committed: the event loop goes on to others, and the next one
 * begins with what is urgent. COMMIT takes about as long again, for what was written, and an fsync half a millisecond to some. Short
 * transactions cost a twelfth of the rate at which batches are stored, and save a tenth of a small tenant's p99 beside one that floods.
 * Where each COMMIT takes longer than `beside`, on a slow disk, they take as long as that, but no longer than `alone`: else most of the
 * time would be COMMIT's.
 */
export const COMMIT_MS = { alone: 4, beside: 1.5 } as const;
/** The quickest of so many tells what a COMMIT takes on this disk. */
const COMMITS_TIMED = 8;
export const COMMIT_BYTES_MAX = 8 * 1024 * 1024;
/** Writes, posted ones included, that may wait for their transaction. */
export const WRITES_WAITING_MAX = 150_000;
export const POSTS_WAITING_MAX = 50_000;

/** What `health` writes to see whether there is space again: more than an event usually takes. */
const PROBE_BYTES = 64 * 1024;

export function createGroupCommit(options: {
  readonly database: Database;
  readonly clock: Clock;
  readonly commitMs?: Readonly<Record<"alone" | "beside", number>>;
  readonly postsWaitingMax?: number;
  /** Gets what a `committed` callback or a listener threw; the others are called all the same. Must not throw. */
  readonly onFault?: (error: unknown) => void;
}): GroupCommit {
  const { database, clock, commitMs = COMMIT_MS, postsWaitingMax = POSTS_WAITING_MAX, onFault } = options;
  const company = createCompany(clock);
  const listeners: (() => void)[] = [];
  let postsWaiting = 0;
  let lost = 0;
  /** What COMMIT took the last times; before the first one, transactions are long. */
  const commitTookMs: number[] = [];
  /** Of the last write that failed, until a probe is good again. */
  let failure: string | null = null;
  let probing: Promise<string | null> | null = null;

  const batcher = createBatcher<Operation, unknown>({
    clock,
    flush: commitSome,
    mayStopEarly: true,
    itemsMax: COMMIT_ITEMS_MAX,
    bytesMax: COMMIT_BYTES_MAX,
    waitingMax: WRITES_WAITING_MAX,
    overflow: () =>
      new PosthasteError("overloaded", {
        detail: "Too many writes wait for the disk; try again later.",
        retryAfterS: 1,
      }),
  });

  function transactionMs(): number {
    const { alone, beside } = commitMs;
    return company.isMixed() ? Math.min(alone, Math.max(beside, Math.min(...commitTookMs))) : alone;
  }

  /** The first of them, in one transaction that takes `commitMs` or one operation. */
  function commitSome(operations: readonly Operation[]): readonly BatchResult<unknown>[] {
    let writtenAtMs = clock.monotonic();
    const untilMs = writtenAtMs + transactionMs();
    const isOver = (): boolean => {
      writtenAtMs = clock.monotonic();
      return writtenAtMs >= untilMs;
    };
    const together = runTogether(database, operations, isOver);
    if (together !== null) commitTookMs.push(clock.monotonic() - writtenAtMs);
    if (commitTookMs.length > COMMITS_TIMED) commitTookMs.shift();
    const settled = together ?? runEachAlone(database, operations);
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
    writeUrgent<Result>(
      tenant: string,
      operation: () => Result,
      bytes: number,
      committed?: (result: Result) => void,
    ): Promise<Result> {
      company.met(tenant);
      return batcher.add({ run: operation, committed }, bytes, tenant) as Promise<Result>;
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

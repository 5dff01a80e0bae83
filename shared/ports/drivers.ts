/** A whole driver set: one of embedded, distributed, edge. Whoever opens it disposes it, after everyone who uses it. */
import type { Sealer } from "../lib/ambient.ts";
import type { AlertBoard } from "./alert-board.ts";
import type { Cancellations } from "./cancellations.ts";
import type { BegunAttempts } from "./begun-attempts.ts";
import type { Claims } from "./claims.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Directory } from "./directory.ts";
import type { ApiKeyStore } from "./api-keys.ts";
import type { EventTypes } from "./event-types.ts";
import type { Depth, Lanes } from "./lanes.ts";
import type { Leases } from "./leases.ts";
import type { Ledger } from "./ledger.ts";
import type { Notifier } from "./notifier.ts";
import type { QuarantinedRecords } from "./quarantined-records.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import type { RetryQueue } from "./retry-queue.ts";
import type { Spool } from "./spool.ts";
import type { Stats } from "./stats.ts";
import type { Tail } from "./tail.ts";

/** One part of a driver set that must be set up before a processor is ready. May be run again after it failed. */
export interface StartStep {
  /** For people: `consumer of the lane medium`. */
  readonly name: string;
  run(signal: AbortSignal): Promise<void>;
}

export interface Drivers extends AsyncDisposable {
  readonly lanes: Lanes;
  readonly retryQueue: RetryQueue;
  readonly deadLetters: DeadLetters;
  readonly ledger: Ledger;
  readonly stats: Stats;
  readonly directory: Directory;
  readonly apiKeys: ApiKeyStore;
  readonly eventTypes: EventTypes;
  readonly claims: Claims;
  readonly cancellations: Cancellations;
  readonly leases: Leases;
  readonly begunAttempts: BegunAttempts;
  readonly alertBoard: AlertBoard;
  readonly rateLimiter: RateLimiter;
  readonly notifier: Notifier;
  readonly tail: Tail;
  readonly quarantinedRecords: QuarantinedRecords;
  /** Seals the cursors that callers hold; each gateway of a deployment opens those of the others. */
  readonly cursorSealer: Pick<Sealer, "seal" | "open">;
  /** Null where nothing is spooled: one store keeps all. */
  readonly spool: Pick<Spool, "depth"> | null;
  /** What the ledger did not take in time and will have from elsewhere; null where it waits for nothing. */
  readonly missedLedger: { depth(): Promise<Depth> } | null;
  /** Null while something can be accepted, and on a processor delivered; else one sentence, for /readyz. */
  health(): Promise<string | null>;
  /** One entry for each store that is away while the rest goes on: what is wrong, and what takes over. */
  degraded(): Promise<readonly string[]>;
  /** Resolves when all that was recorded so far is durable and visible. */
  flush(): Promise<void>;
}

/** What a gateway uses of a driver set; it reads no queue. */
export interface GatewayDrivers extends Pick<
  Drivers,
  | "ledger"
  | "stats"
  | "directory"
  | "apiKeys"
  | "eventTypes"
  | "claims"
  | "cancellations"
  | "rateLimiter"
  | "deadLetters"
  | "quarantinedRecords"
  | "cursorSealer"
  | "leases"
  | "tail"
  | "health"
  | "degraded"
> {
  readonly lanes: Pick<Drivers["lanes"], "append">;
  readonly retryQueue: Pick<Drivers["retryQueue"], "schedule">;
}

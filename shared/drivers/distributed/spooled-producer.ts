/**
 * A producer that does not wait for a log that is away. What the log does not acknowledge goes to the spool, from where it is
 * relayed later; from then on the next records go there at once, and one in a while tries the log again. A record that went
 * both ways is there twice, as after any append whose answer was lost.
 */
import { isStoreUnavailable, storeFault } from "../../domain/errors.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { CircuitBreaker } from "../../lib/circuit-breaker.ts";
import { createStallWatch } from "../../lib/stall-watch.ts";
import type { NewRecord, RecordProducer } from "../../ports/partition-log.ts";
import type { Spool, SpoolClass } from "../../ports/spool.ts";
import { ATTEMPTS_TOPIC, LANE_TOPICS } from "./topics.ts";

/** Without any acknowledgement for so long, while something waits for one, the log counts as away. */
export const STALL_MS = 500;
/** So long while there is no spool to go to, either: a pause of the log is no reason to refuse. */
export const ALONE_STALL_MS = 1500;
/** Whoever tries a log that was away is not held up for longer: the record goes to the spool, the try goes on. */
const PROBE_PATIENCE_MS = 50;

/** What the log has left to answer once the spool did not take the records either: then they are refused. */
export const LAST_PATIENCE_MS = 200;

/** One try of the log shows whether all may go there again. */
export const LOG_BREAKER = { failuresToOpen: 1, probeAfterMs: 250, probeAfterMsMax: 2000 } as const;

type Outcome =
  | { readonly kind: "written" }
  | { readonly kind: "failed"; readonly error: unknown }
  /** The log answers, and does not want it. */
  | { readonly kind: "refused"; readonly error: unknown };

const SILENT = { kind: "silent" } as const;
const KEPT = { kind: "kept" } as const;
type NotKept = { readonly kind: "not-kept"; readonly error: unknown };

export interface SpooledProducerOptions {
  readonly producer: RecordProducer;
  readonly spool: Pick<Spool, "append">;
  /** As far as is known. */
  readonly isSpoolReachable: () => boolean;
  /** One for all producers of a process. */
  readonly breaker: CircuitBreaker;
  readonly clock: Pick<Clock, "monotonic" | "timer">;
  /** Told when the log begins to count as away. Must not throw. */
  readonly onAway: (error: unknown) => void;
}

export function createSpooledProducer(options: SpooledProducerOptions) {
  const { producer, spool, breaker, clock, onAway } = options;
  const stallMs = (): number => (options.isSpoolReachable() ? STALL_MS : ALONE_STALL_MS);
  const stalls = createStallWatch(clock, stallMs);

  function failed(error: unknown): void {
    if (breaker.fail(clock.monotonic())) onAway(error);
  }

  /**
   * `silent` resolves when the log has acknowledged nothing for too long; the outcome comes all the same, later. What was then,
   * or by `withdraw`, not on its way yet is not sent any more.
   */
  function begin(records: readonly NewRecord[]) {
    let isSilent = false;
    let isRefused = false;
    const silent = Promise.withResolvers<typeof SILENT>();
    const end = stalls.begin(() => {
      isSilent = true;
      failed(storeFault(`Kafka: nothing was acknowledged within ${stallMs()} ms.`));
      silent.resolve(SILENT);
    });
    const outcome = producer
      .append(records, () => isSilent || isRefused)
      .then(
        (): Outcome => {
          end(true);
          breaker.succeed();
          return { kind: "written" };
        },
        (error: unknown): Outcome => {
          const isAway = isStoreUnavailable(error);
          end(!isAway);
          if (isAway && !isSilent) failed(error);
          if (!isAway) breaker.forget();
          return { kind: isAway ? "failed" : "refused", error };
        },
      );
    return { outcome, silent: silent.promise, withdraw: () => void (isRefused = true) };
  }

  return {
    async append(records: readonly NewRecord[]): Promise<void> {
      const spoolClass = classOf(records);
      if (!breaker.permits(clock.monotonic())) return await spool.append(records, spoolClass);
      const isProbe = breaker.state() === "half-open";
      const { outcome, silent, withdraw } = begin(records);
      const waits = isProbe ? [outcome, silent, after(clock, PROBE_PATIENCE_MS)] : [outcome, silent];
      const first = await Promise.race(waits);
      if (first.kind === "written") return;
      if (first.kind === "refused") throw first.error;
      // Either is enough.
      const spooled = spool.append(records, spoolClass).then(() => KEPT, notKept);
      const second = await Promise.race([outcome, spooled]);
      if (second.kind === "written" || second.kind === "kept") return;
      const third = await (second.kind === "not-kept"
        ? Promise.race([outcome, after(clock, LAST_PATIENCE_MS)])
        : spooled);
      if (third.kind === "written" || third.kind === "kept") return;
      withdraw();
      throw refusalOf(second, third);
    },
    [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
  } satisfies RecordProducer;
}

function notKept(error: unknown): NotKept {
  return { kind: "not-kept", error };
}

/** Of the log and the spool, whichever came first. That there was no way around the log tells less than its own answer. */
function refusalOf(...both: readonly (Outcome | NotKept | typeof SILENT)[]): unknown {
  const ofSpool = both.find(({ kind }) => kind === "not-kept");
  const ofLog = both.find((each) => each !== ofSpool);
  if (ofSpool?.kind === "not-kept" && !isStoreUnavailable(ofSpool.error)) return ofSpool.error;
  if (ofLog?.kind === "failed" || ofLog?.kind === "refused") return ofLog.error;
  return storeFault("Kafka acknowledged nothing in time, and the spool took nothing.");
}

function after(clock: Pick<Clock, "timer">, ms: number): Promise<typeof SILENT> {
  return new Promise((resolve) => void clock.timer(ms, () => resolve(SILENT)));
}

/** The most important one of what is appended together. */
function classOf(records: readonly NewRecord[]): SpoolClass {
  const classes = new Set(records.map(({ topic }) => CLASS_BY_TOPIC.get(topic) ?? "first"));
  return IN_ORDER.find((each) => classes.has(each)) ?? "first";
}

const IN_ORDER = ["first", "medium", "low", "attempts"] as const satisfies readonly SpoolClass[];
/** Retries, dead letters and what is put aside hold what was accepted already, as HIGH's way around Redis does: all others. */
const CLASS_BY_TOPIC: ReadonlyMap<string, SpoolClass> = new Map([
  [LANE_TOPICS.medium, "medium"],
  [LANE_TOPICS.low, "low"],
  [ATTEMPTS_TOPIC, "attempts"],
]);

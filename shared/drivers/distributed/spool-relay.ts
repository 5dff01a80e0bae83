/**
 * Moves what the spool keeps to the partition log: written to all in-sync replicas first, then removed. Any number of
 * processes do so at the same time, each with records of its own. What the log refuses for good is put aside.
 */
import { PosthasteError } from "../../domain/errors.ts";
import type { Clock, Entropy } from "../../lib/ambient.ts";
import { inTime } from "../../lib/in-time.ts";
import { supervise } from "../../lib/lifecycle.ts";
import { onAbort } from "../../lib/on-abort.ts";
import type { NewRecord, RecordProducer } from "../../ports/partition-log.ts";
import type { Spool, SpooledRecord } from "../../ports/spool.ts";
import type { OnPoison } from "../partitioned/window/quarantine.ts";
import { SPOOL_SOURCE } from "./topics.ts";

/** One round: as many as a send takes. */
const ROUND_RECORDS_MAX = 500;
/** Between looks at a spool that is empty; whoever appends to it rings before that. */
const LOOK_EMPTY_MS = 30_000;
/** Between looks while another process holds what is there. */
const LOOK_HELD_MS = 1000;
/** A round under way at the end is waited for this long. */
const CLOSE_MS = 2000;
/** Waits after a round that failed. */
const AGAIN = { waitMs: 250, waitMsMax: 2000, steadyMs: 5000 } as const;

export interface SpoolRelayOptions {
  readonly spool: Spool;
  /** Of its own: what is relayed waits for nobody, and nobody for it. */
  readonly producer: RecordProducer;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** The record as it is to be written after a wait. */
  readonly afterWait: (record: NewRecord, waitedMs: number) => NewRecord;
  readonly onPoison: OnPoison;
  /** Told of rounds that failed and are made again. Must not throw. */
  readonly onFault: (error: unknown) => void;
}

export interface SpoolRelay extends AsyncDisposable {
  start(): void;
}

export function createSpoolRelay(options: SpoolRelayOptions): SpoolRelay {
  const { spool, clock, entropy, onFault } = options;
  const closing = new AbortController();
  const bell = createBell(clock);
  let running: Promise<void> = Promise.resolve();
  let isStarted = false;

  async function run(signal: AbortSignal): Promise<void> {
    await using watches = new AsyncDisposableStack();
    watches.use(await spool.watch(bell.ring));
    while (!signal.aborted) {
      const taken = await spool.take(ROUND_RECORDS_MAX);
      if (taken.length > 0) await relayRound(options, taken);
      else await bell.wait((await spool.depth()).count > 0 ? LOOK_HELD_MS : LOOK_EMPTY_MS, signal);
    }
  }

  return {
    start() {
      if (isStarted) return;
      isStarted = true;
      const onFailure = (_loop: string, error: unknown): void => onFault(error);
      running = supervise("The relay of the spool", run, { clock, entropy, ...AGAIN, onFailure }, closing.signal);
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new PosthasteError("stopping", "The relay of the spool is closing."));
      // A round under way is taken up by others once its time is over.
      await inTime(clock, CLOSE_MS, running);
    },
  };
}

type Fate = "settled" | { readonly error: unknown };

/** Throws when the log took some of them not, after all others were removed. */
async function relayRound(options: SpoolRelayOptions, taken: readonly SpooledRecord[]): Promise<void> {
  const { spool } = options;
  const fates = await Promise.all(taken.map((each) => relay(options, each)));
  const failures = fates.filter((fate) => fate !== "settled");
  const isSettled = (_: SpooledRecord, index: number): boolean => fates[index] === "settled";
  if (failures.length < taken.length) await spool.remove(taken.filter(isSettled));
  const [first] = failures;
  if (first === undefined) return;
  await spool.giveBack(taken.filter((each, index) => !isSettled(each, index)));
  throw first.error;
}

async function relay(options: SpoolRelayOptions, { record, packed, waitedMs }: SpooledRecord): Promise<Fate> {
  const putAside = (reason: string): Promise<Fate> => {
    const place = { topic: record?.topic ?? SPOOL_SOURCE, partition: 0, offset: 0, headers: record?.headers ?? {} };
    const poison = { ...place, value: record === null ? packed : record.value, reason };
    return options.onPoison(poison).then(
      () => "settled" as const,
      (error: unknown) => ({ error }),
    );
  };
  if (record === null) return await putAside("the entry of the spool is no record of ours");
  try {
    await options.producer.append([options.afterWait(record, waitedMs)]);
    return "settled";
  } catch (error) {
    const isForGood = error instanceof PosthasteError && !error.retriable;
    return isForGood ? await putAside(`Kafka refuses it for the topic ${record.topic}`) : { error };
  }
}

/** One waits, others ring; a ring that found nobody waiting is heard by the next wait. */
function createBell(clock: Pick<Clock, "timer">) {
  let isRung = false;
  let wake: () => void = () => undefined;
  return {
    ring(): void {
      isRung = true;
      wake();
    },
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      if (!isRung && !signal.aborted) {
        const rung = Promise.withResolvers<void>();
        wake = rung.resolve;
        const ends = [clock.timer(ms, rung.resolve), onAbort(signal, rung.resolve)];
        await rung.promise;
        for (const end of ends) end();
      }
      isRung = false;
    },
  };
}

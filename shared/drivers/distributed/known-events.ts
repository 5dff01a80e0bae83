/**
 * How the ledger hears of events that were accepted, and of those that were not after all. What it could not be told waits
 * here, in order, until it can be: bounded by count and bytes. What finds no place, and what waits when the process dies, is
 * shown once a processor has something to record of it, for that brings the event along.
 */
import type { Envelope } from "../../domain/envelope.ts";
import type { Cancel, Clock } from "../../lib/ambient.ts";
import type { RedisLedger } from "../redis/ledger/ledger.ts";

/** What waits to be told; past either it is counted as lost here. */
export const UNTOLD_MAX = 50_000;
export const UNTOLD_BYTES_MAX = 64 * 1024 * 1024;
/** Told at once. */
const TOLD_MAX = 500;
/** Between tries while the ledger is away. */
const AGAIN_MS = 500;

export interface KnownEvents extends AsyncDisposable {
  /** Resolves with those that were new to the ledger; null when it could not be told. Never rejects. */
  remember(envelopes: readonly Envelope[]): Promise<readonly Envelope[] | null>;
  /** Were accepted, and the ledger could not be told. */
  rememberLater(envelopes: readonly Envelope[]): void;
  /** Were refused after all. Tried once more later when the ledger cannot be told now. Never rejects. */
  forget(envelopes: readonly Envelope[]): Promise<void>;
}

interface Untold {
  readonly what: "recall" | "forget";
  readonly envelope: Envelope;
}

export function createKnownEvents(options: {
  readonly ledger: Pick<RedisLedger, "remember" | "recall" | "forget">;
  readonly clock: Pick<Clock, "timer">;
  /** Of each try that failed. Must not throw. */
  readonly onFault: (error: unknown) => void;
  readonly onLost: (count: number) => void;
}): KnownEvents {
  const { ledger, clock, onFault, onLost } = options;
  let untold: Untold[] = [];
  let bytes = 0;
  let timer: Cancel | null = null;
  let telling: Promise<void> | null = null;
  let isClosed = false;

  function keep(what: Untold["what"], envelopes: readonly Envelope[]): void {
    let lost = 0;
    for (const envelope of envelopes) {
      const more = bytesOf({ what, envelope });
      if (isClosed || untold.length >= UNTOLD_MAX || bytes + more > UNTOLD_BYTES_MAX) {
        lost++;
        continue;
      }
      untold.push({ what, envelope });
      bytes += more;
    }
    if (lost > 0) onLost(lost);
    arm();
  }

  function arm(): void {
    if (isClosed || untold.length === 0 || telling !== null) return;
    timer ??= clock.timer(AGAIN_MS, () => {
      timer = null;
      telling = tellAll().finally(() => {
        telling = null;
        arm();
      });
    });
  }

  /** As far as the ledger can be told. */
  async function tellAll(): Promise<void> {
    while (untold.length > 0) {
      const { what } = untold[0] ?? { what: "recall" };
      const end = untold.findIndex((each) => each.what !== what);
      const told = untold.slice(0, Math.min(end < 0 ? untold.length : end, TOLD_MAX));
      try {
        await ledger[what](told.map(({ envelope }) => envelope));
      } catch {
        // Its going away was told by whoever met it first.
        return;
      }
      untold = untold.slice(told.length);
      bytes -= told.reduce((sum, each) => sum + bytesOf(each), 0);
    }
  }

  return {
    async remember(envelopes) {
      try {
        return await ledger.remember(envelopes);
      } catch (error) {
        onFault(error);
        return null;
      }
    },
    rememberLater: (envelopes) => keep("recall", envelopes),
    async forget(envelopes) {
      try {
        await ledger.forget(envelopes);
      } catch (error) {
        onFault(error);
        keep("forget", envelopes);
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      timer?.();
      await telling;
      await tellAll();
      const lost = untold.filter(({ what }) => what === "recall").length;
      if (lost > 0) onLost(lost);
    },
  };
}

function bytesOf({ what, envelope }: Untold): number {
  return what === "recall" ? envelope.body.length : 0;
}

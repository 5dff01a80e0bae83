/** Looks after a reader every few seconds, and notices when the process stood still in between. */
import type { Clock } from "../../lib/ambient.ts";
import { SESSION_MS } from "./consumer.ts";

const WATCH_MS = 5000;
/** A process that stood still for longer may have been expelled from its groups. */
const STILL_MS_MAX = SESSION_MS - 2000;

export interface ReaderWatch {
  start(): void;
  /** Was what comes in now fetched before a standstill that no timer has told of yet? */
  isOutdated(): boolean;
  stop(): void;
}

export function createReaderWatch(options: {
  readonly clock: Clock;
  /** Called every `WATCH_MS`. */
  readonly look: () => void;
  /** For so many ms at least; what others did meanwhile is not known. */
  readonly stoodStill: (ms: number) => void;
}): ReaderWatch {
  const { clock, look } = options;
  let cancel = (): void => undefined;
  let setAtMs = clock.monotonic();

  function stoodStill(ms: number): void {
    setAtMs = clock.monotonic();
    options.stoodStill(ms);
  }

  function arm(): void {
    setAtMs = clock.monotonic();
    cancel = clock.timer(WATCH_MS, () => {
      arm();
      look();
    });
  }

  const unlisten = clock.onStandstill((ms, isSure) => {
    if (isSure && ms > STILL_MS_MAX) stoodStill(ms);
  });

  return {
    start: arm,
    isOutdated() {
      const lateMs = clock.monotonic() - setAtMs - WATCH_MS;
      if (lateMs <= STILL_MS_MAX) return false;
      stoodStill(lateMs);
      return true;
    },
    stop() {
      cancel();
      unlisten();
    },
  };
}

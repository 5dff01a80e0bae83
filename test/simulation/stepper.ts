/** Lets a simulated world go on, one callback at a time; between two all promises at hand settle. */
import type { Trace } from "./trace.ts";
import type { VirtualClock } from "../support/clocks/virtual-clock.ts";
import { DeadProcess } from "./virtual-database.ts";

export interface Stepper {
  /** False when nothing waits. */
  step(): Promise<boolean>;
  runUntil(isReached: () => boolean): Promise<void>;
  /** The promise's outcome, with the world going on while it waits. */
  settled<Value>(work: Promise<Value>): Promise<Value>;
  count(): number;
}

export function createStepper(clock: VirtualClock, stepsMax: number): Stepper {
  let count = 0;

  async function step(): Promise<boolean> {
    count++;
    try {
      if (!clock.step()) return false;
    } catch (error) {
      if (!(error instanceof DeadProcess)) throw error;
    }
    await yieldOnce();
    return true;
  }

  async function runUntil(isReached: () => boolean): Promise<void> {
    while (!isReached()) {
      if (count >= stepsMax) throw new Error("too many steps");
      if (!(await step())) throw new Error("nothing waits, and the world is not where it should be");
    }
  }

  return {
    step,
    runUntil,
    async settled(work) {
      let isOver = false;
      const watched = work.finally(() => void (isOver = true));
      watched.catch(() => undefined);
      await yieldOnce();
      await runUntil(() => isOver);
      return await watched;
    },
    count: () => count,
  };
}

/** One turn of the real event loop: every promise at hand is settled before it comes. */
function yieldOnce(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** A rejection nobody hears is a bug, unless it comes from the dead. */
export function watchRejections(trace: Trace): () => void {
  const hear = (reason: unknown): void => {
    if (!isOfTheDead(reason))
      trace.violation(
        "no crash inside",
        `unhandled: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`,
      );
  };
  process.on("unhandledRejection", hear);
  return () => void process.off("unhandledRejection", hear);
}

function isOfTheDead(reason: unknown): boolean {
  if (reason instanceof DeadProcess) return true;
  return reason instanceof Error && reason.cause !== undefined && isOfTheDead(reason.cause);
}

/** Those who wait in `take` of a lane or of the retry queue; they meet errors of SQLite as errors of the store. */
import { PullWaiters } from "../../lib/waiters.ts";
import { storeError } from "./group-commit.ts";

/** Far more than there are loops that take from one queue. */
const WAITERS_MAX = 1000;

export function createLaneWaiters<Item>(options: {
  readonly pull: (max: number) => readonly Item[];
  /** Sees to the next `wake`. Called when someone begins to wait, and after a wake that did not serve everyone. */
  readonly arrangeWake?: () => void;
}): PullWaiters<Item> {
  return new PullWaiters({
    waitersMax: WAITERS_MAX,
    pull: (max) => asStore(() => options.pull(max)),
    onWaiting: () => asStore(() => options.arrangeWake?.()),
  });
}

function asStore<Value>(work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw storeError(error);
  }
}

/**
 * Holds requests from the listening to the end of the start, which is milliseconds: what the start says, such as a key that is
 * shown once, it says only when it listens, and nobody is refused meanwhile for a key that is about to be stored.
 */
import type { Gateway } from "./app.ts";

export interface StartGate {
  readonly fetch: Gateway["fetch"];
  /** The start is over; from now on nothing is held. */
  open(): void;
}

export function createStartGate(fetch: Gateway["fetch"]): StartGate {
  let held: PromiseWithResolvers<void> | null = Promise.withResolvers();
  return {
    fetch: (request) => (held === null ? fetch(request) : held.promise.then(() => fetch(request))),
    open() {
      held?.resolve();
      held = null;
    },
  };
}

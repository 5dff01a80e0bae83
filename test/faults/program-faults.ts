/** What can befall gateways, processors and the receiver. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Kind } from "./fleet.ts";
import type { Mood } from "./receiver.ts";
import type { Fault } from "./scenario.ts";

const NOTHING = (): Promise<void> => Promise.resolve();
/** More than a gateway gives its requests (11 s) and a processor its attempts (15 s). */
const STOP_WITHIN_MS = 30_000;
const running = new AbortController().signal;

/** SIGKILL of so many, or all; as many are started when the fault ends. */
export const killed =
  (kind: Kind, most = Infinity): Fault =>
  async ({ fleet }) => {
    const count = Math.min(most, fleet.count(kind));
    await fleet.kill(kind, count);
    return () => fleet.start(kind, count);
  };

/** SIGSTOP of one. */
export const frozen =
  (kind: Kind): Fault =>
  ({ fleet }) => {
    const thaw = fleet.freeze(kind);
    return Promise.resolve(async () => thaw());
  };

/** SIGTERM of one, which has to end in bounded time whatever the stores do; another is started when the fault ends. */
export const stopped =
  (kind: Kind): Fault =>
  async ({ fleet, complain }) => {
    const ended = await fleet.stop(kind, STOP_WITHIN_MS);
    if (ended !== null) complain(`a ${kind} did not end with 0 within ${STOP_WITHIN_MS / 1000} s of SIGTERM: ${ended}`);
    return () => fleet.start(kind, 1);
  };

/** One more beside those that run: it may have to wait for a store. */
export const started =
  (kind: Kind): Fault =>
  ({ fleet }) => {
    const starting = fleet.start(kind, 1);
    return Promise.resolve(async () => {
      await starting;
      await fleet.stop(kind, STOP_WITHIN_MS);
    });
  };

/** A gateway and a processor, each replaced, again and again. */
export const rolling =
  (everyMs: number, rounds: number): Fault =>
  async ({ fleet, complain }) => {
    for (let round = 0; round < rounds; round++) {
      const nextAt = systemClock.monotonic() + everyMs;
      const kind = round % 2 === 0 ? "gateway" : "processor";
      const starting = fleet.start(kind, 1);
      const ended = await fleet.stop(kind, STOP_WITHIN_MS);
      if (ended !== null) complain(`a ${kind} did not end with 0 in a rolling restart: ${ended}`);
      await starting;
      await systemClock.sleep(Math.max(0, nextAt - systemClock.monotonic()), running);
    }
    return NOTHING;
  };

export const receiverIs =
  (mood: Exclude<Mood, "takes">): Fault =>
  ({ receiver }) => {
    receiver.mood(mood);
    return Promise.resolve(async () => receiver.mood("takes"));
  };

/** (3) What was deferred does not wait for its planned time while the endpoint answers. */
import type { Chain } from "./chains.ts";
import type { Witness } from "./send-invariants.ts";
import type { Send } from "./virtual-network.ts";
import { isHeardDelivered } from "./chains.ts";
import { wasQuiet } from "./history.ts";

/** From an answer of the endpoint until all that was deferred before it is attempted: a few round trips, and slots of others. */
const RECALL_MS_MAX = 20_000;
/** No receiver asks for a longer silence. */
const SILENCE_MS_MAX = 121_000;

/**
 * Judged where nothing else may keep the delivery back: one process, no rate limit, no silence asked for, and all answers
 * good since the one that should have called it.
 */
export function checkRecall(witness: Witness, send: Send, { slot, eventId }: Chain): void {
  const { history, trace, network } = witness;
  const key = `${slot.storedId} ${eventId}`;
  const deferral = history.deferrals.get(key);
  if (deferral === undefined || deferral.processIndex !== send.processIndex || slot.rateLimit !== null) return;
  if (history.movedAtMs.get(key)?.at(-1) !== deferral.atMs) return;
  const others = network()
    .sends()
    .filter(({ url, processIndex, sentAtMs }) => {
      const isSame = url === slot.url && processIndex === send.processIndex;
      return isSame && sentAtMs >= deferral.atMs - SILENCE_MS_MAX && sentAtMs < send.sentAtMs;
    });
  const calling = others.find((each) => isHeardDelivered(each) && each.sentAtMs > deferral.atMs)?.heard?.atMs;
  if (calling === undefined || send.sentAtMs - calling <= RECALL_MS_MAX) return;
  const isClear = others.every((each) => isHeardDelivered(each) || (each.heard?.atMs ?? Infinity) < deferral.atMs);
  const askedForSilence = others.some(
    ({ heard }) => heard?.result.kind === "answered" && heard.result.retryAfter !== null,
  );
  // Whoever was set back judges what is due by another time than this one.
  if (witness.clocks.steps.length > 0) return;
  if (!isClear || askedForSilence || !wasQuiet(history, calling, send.sentAtMs)) return;
  trace.violation(
    "deferred comes back",
    `#${send.index} ${eventId} to ${slot.url}: ${send.sentAtMs - calling} ms after the endpoint answered`,
  );
}

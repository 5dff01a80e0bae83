/** (11) Owners are told: before an endpoint is disabled for failing, when it is, when it is well, and of what is dead. */
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { isOwnType } from "@posthaste/shared/domain/own-event.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { Slot } from "./model.ts";
import type { Noted, ToldNotice } from "./notices.ts";
import type { Witness } from "./send-invariants.ts";
import type { Send } from "./virtual-network.ts";
import { isAnsweredDelivered, isHeardDelivered } from "./chains.ts";
import { hadDiskTrouble } from "./history.ts";
import { toldIn } from "./notices.ts";
import { headerOf } from "./virtual-network.ts";

/** Where a store does not take a notice, it is given up after this. */
const GIVEN_UP_MS = 5000;
/** The owner has at least this part of the time from the warning on. */
const NOTICE_FRACTION = 1 / 4;

/** In the moment in which a notice leaves. */
export function checkNoticeSent(
  { trace, notices, history, network }: Witness,
  send: Send,
  slot: Slot,
  told: ToldNotice,
) {
  const { type, atMs, data } = told;
  const where = `#${send.index} ${type} of ${String(data["endpoint_id"])} to ${slot.url}`;
  if (!matches(slot, type)) trace.violation("nothing uninvited", `${where}, which does not take it`);
  const isOfEndpoint = type.startsWith("posthaste.endpoint.");
  const isNoted = notices.all().some((noted) => noted.tenant === slot.tenant && isOf(noted, told));
  if (isOfEndpoint && !isNoted) trace.violation("told once", `${where} is noted nowhere, at ${atMs}`);
  const id = headerOf(send, "webhook-id");
  const before = network()
    .sends()
    .filter((each) => each !== send && each.url === send.url && headerOf(each, "webhook-id") === id);
  const crashes = history.ends.filter(({ kind }) => kind === "crash").length;
  const perCrash = history.diskTroubles.length > 0 ? 3 : 2;
  if (before.filter(isHeardDelivered).length >= perCrash ** Math.min(crashes, 10))
    trace.violation("told once", `${where}: heard before, ${crashes} crashes`);
}

function isOf({ endpointId, kind, atMs }: Noted, told: ToldNotice): boolean {
  return told.type === `posthaste.endpoint.${kind}` && told.data["endpoint_id"] === endpointId && told.atMs === atMs;
}

/** When all is quiet. */
export function checkNotices(witness: Witness, letters: readonly DeadLetter[], nowMs: number): void {
  for (const slot of witness.model.slots) {
    if (!slot.eventTypes.some(isOwnType) || slot.createdAtMs === null) continue;
    const arrived = toldTo(witness, slot, letters);
    for (const noted of witness.notices.all()) {
      if (noted.tenant !== slot.tenant || noted.seenAtMs < slot.createdAtMs) continue;
      checkTold(witness, noted, arrived, nowMs);
      checkWarned(witness, noted);
    }
    for (const letter of letters) checkDeadTold(witness, slot, letter, arrived);
  }
}

/** What its owner has heard, or will when they look through their dead letters. */
function toldTo({ network }: Witness, { url, id }: Slot, letters: readonly DeadLetter[]): readonly ToldNotice[] {
  const sent = network()
    .sends()
    .filter((send) => send.url === url && isAnsweredDelivered(send));
  const missed = letters.filter(({ endpointId }) => endpointId === id || endpointId === UNKNOWN_ENDPOINT);
  return [...sent.map(({ body }) => body), ...missed.map(({ envelope }) => envelope.body)].flatMap(
    (body) => toldIn(body) ?? [],
  );
}

function checkTold(witness: Witness, noted: Noted, arrived: readonly ToldNotice[], nowMs: number): void {
  const { kind, endpointId, isRemembered, next, seenAtMs } = noted;
  if (arrived.some((told) => isOf(noted, told))) return;
  const name = `${kind} of ${endpointId}, noted at ${noted.atMs}`;
  if (isRemembered) return witness.trace.violation("owners are told", `${name}, is remembered as told and never came`);
  // What is over before it could be told is not told; what took its place is.
  if (next !== null || isLossy(witness, seenAtMs, nowMs)) return;
  witness.trace.violation("owners are told", `${name}, is told to nobody`);
}

/** Nobody is disabled for failing who was not told before. */
function checkWarned({ trace, notices, limits, clocks }: Witness, noted: Noted): void {
  if (noted.kind !== "disabled" || noted.reason?.startsWith("no attempt succeeded") !== true) return;
  const warning = notices.all().find(({ next }) => next === noted);
  const name = `${noted.endpointId} at ${noted.atMs}`;
  if (warning?.kind !== "failing" || !warning.isRemembered)
    return trace.violation("owners are told", `${name} is disabled unwarned`);
  const noticeMs = noted.atMs - warning.atMs + 2 * clocks.skewMsMax;
  if (clocks.steps.length === 0 && noticeMs < limits.disableAfterMs * NOTICE_FRACTION)
    trace.violation("owners are told", `${name} is disabled ${noticeMs} ms after its warning`);
}

function checkDeadTold(witness: Witness, slot: Slot, letter: DeadLetter, arrived: readonly ToldNotice[]): void {
  const { id, tenant, endpointId, state, envelope, atMs } = letter;
  if (state !== "dead" || tenant !== slot.tenant || endpointId === UNKNOWN_ENDPOINT || isOwnType(envelope.type)) return;
  if (arrived.some(({ type, data }) => type === "posthaste.delivery.dead" && data["delivery_id"] === id)) return;
  const { skewMsMax, steps } = witness.clocks;
  if (steps.length > 0 || (slot.createdAtMs ?? Infinity) >= atMs - skewMsMax) return;
  if (isLossy(witness, atMs - skewMsMax - GIVEN_UP_MS, atMs + skewMsMax)) return;
  witness.trace.violation("owners are told", `${id} of ${letter.eventId} to ${endpointId} is dead, told to nobody`);
}

/** A lane may have been full or a store away when it was to be told. */
function isLossy({ history, hasSmallLanes }: Witness, fromMs: number, toMs: number): boolean {
  const isBlind = history.blinks.some((blink) => blink.fromMs <= fromMs + GIVEN_UP_MS && blink.toMs >= fromMs);
  return hasSmallLanes || isBlind || hadDiskTrouble(history, fromMs, toMs);
}

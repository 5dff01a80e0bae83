/**
 * (11) Owners are told: before an endpoint is disabled for failing, when it is, when it is well, and of what is dead. So is the
 * operator, of endpoints. Nobody hears of what did not happen.
 */
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import { isOwnType } from "@posthaste/shared/domain/own-event.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { Slot } from "./model.ts";
import type { Noted, Notices, ToldNotice } from "./notices.ts";
import type { Scene, Witness } from "./send-invariants.ts";
import type { Send } from "./virtual-network.ts";
import { isAnsweredDelivered, isHeardDelivered } from "./chains.ts";
import { hadDiskTrouble } from "./history.ts";
import { toldIn } from "./notices.ts";
import { headerOf } from "./virtual-network.ts";

/** Where a store does not take a notice, it is given up after this. */
const GIVEN_UP_MS = 5000;
/** From an answer until the endpoint's record knows of it. */
const WRITTEN_MS = 5000;
/** The owner has at least this part of the time from the warning on. */
const NOTICE_FRACTION = 1 / 4;

/** What the promises about notices are held against, in worlds of one process and in fleets. */
export interface NoticeScene extends Scene {
  readonly notices: Notices;
  /** A lane may have been full or a store away when something was to be told in that time. */
  readonly mayBeUntold: (fromMs: number, toMs: number) => boolean;
}

/** In the moment in which a notice leaves. */
export function checkNoticeSent(witness: Witness, send: Send, slot: Slot, told: ToldNotice): void {
  checkNoticeTrue(witness, send, slot, told);
  const { trace, history } = witness;
  const crashes = history.ends.filter(({ kind }) => kind === "crash").length;
  const perCrash = history.diskTroubles.length > 0 ? 3 : 2;
  if (sendsBefore(witness, send).filter(isHeardDelivered).length >= perCrash ** Math.min(crashes, 10))
    trace.violation("told once", `${nameOf(send, slot, told)}: heard before, ${crashes} crashes`);
}

/** It is for whoever takes it, and the endpoint's record says that it happened. */
export function checkNoticeTrue(
  { trace, notices }: Pick<NoticeScene, "trace" | "notices">,
  send: Send,
  slot: Slot,
  told: ToldNotice,
): void {
  const { type, atMs } = told;
  const name = nameOf(send, slot, told);
  if (!matches(slot, type)) trace.violation("nothing uninvited", `${name}, which does not take it`);
  if (!type.startsWith("posthaste.endpoint.") && !type.startsWith("posthaste.alert.")) return;
  const isNoted = notices.all().some((noted) => isOf(noted, slot, told));
  if (!isNoted) trace.violation("told truly", `${name} is noted nowhere, at ${atMs}`);
}

/** Those of the same notice to the same endpoint. */
export function sendsBefore({ network }: Pick<Scene, "network">, send: Send): readonly Send[] {
  const id = headerOf(send, "webhook-id");
  return network()
    .sends()
    .filter((each) => each !== send && each.url === send.url && headerOf(each, "webhook-id") === id);
}

export function nameOf(send: Send, slot: Slot, { type, data }: ToldNotice): string {
  return `#${send.index} ${type} of ${String(data["endpoint_id"])} to ${slot.url}`;
}

const ALERTS = { failing: "endpoint-failing", disabled: "endpoint-disabled", recovered: "resolved" } as const;

/** As its owner is told, or as the operator is: `slot` is where it arrives. */
function isOf({ tenant, endpointId, kind, atMs }: Noted, slot: Slot, told: ToldNotice): boolean {
  if (told.data["endpoint_id"] !== endpointId || told.atMs !== atMs) return false;
  if (slot.tenant !== OPERATOR_TENANT) return told.type === `posthaste.endpoint.${kind}` && tenant === slot.tenant;
  return told.type === `posthaste.alert.${ALERTS[kind]}` && told.data["tenant"] === tenant;
}

/** When all is quiet. */
export function checkNotices(scene: NoticeScene, letters: readonly DeadLetter[], nowMs: number): void {
  for (const noted of scene.notices.all()) {
    checkWarned(scene, noted);
    checkRecovered(scene, noted);
  }
  for (const slot of scene.model.slots) {
    if (!slot.eventTypes.some(isOwnType) || slot.createdAtMs === null) continue;
    const arrived = toldTo(scene, slot, letters);
    for (const noted of scene.notices.all()) {
      const isFor = noted.tenant === slot.tenant || slot.tenant === OPERATOR_TENANT;
      if (isFor && noted.seenAtMs >= slot.createdAtMs) checkTold(scene, noted, slot, arrived, nowMs);
    }
    for (const letter of letters) checkDeadTold(scene, slot, letter, arrived);
  }
}

/** What its owner has heard, or will when they look through their dead letters. */
function toldTo({ network }: Scene, { url, id }: Slot, letters: readonly DeadLetter[]): readonly ToldNotice[] {
  const sent = network()
    .sends()
    .filter((send) => send.url === url && isAnsweredDelivered(send));
  const missed = letters.filter(({ endpointId }) => endpointId === id || endpointId === UNKNOWN_ENDPOINT);
  return [...sent.map(({ body }) => body), ...missed.map(({ envelope }) => envelope.body)].flatMap(
    (body) => toldIn(body) ?? [],
  );
}

function checkTold(scene: NoticeScene, noted: Noted, slot: Slot, arrived: readonly ToldNotice[], nowMs: number): void {
  const { kind, endpointId, isRemembered, next, seenAtMs } = noted;
  if (arrived.some((told) => isOf(noted, slot, told))) return;
  const name = `${kind} of ${endpointId}, noted at ${noted.atMs}`;
  const whom = `by ${slot.url} of ${slot.tenant}`;
  if (isRemembered) {
    scene.trace.violation("owners are told", `${name}, is remembered as told and never heard ${whom}`);
    return;
  }
  // What is over before it could be told is not told; what took its place is.
  if (next !== null || scene.mayBeUntold(seenAtMs, nowMs)) return;
  scene.trace.violation("owners are told", `${name}, is never heard ${whom}`);
}

/** What is well again was not before, and answered. */
function checkRecovered({ trace, model, network }: NoticeScene, noted: Noted): void {
  const { kind, endpointId, before, seenAtMs } = noted;
  if (kind !== "recovered") return;
  const name = `${endpointId} at ${noted.atMs}`;
  if (before === null || (before.kind === "recovered" && before.isRemembered))
    return trace.violation("told truly", `${name} has recovered, and was not told to fail`);
  const slot = model.slots.find(({ id, storedId }) => id === endpointId || storedId === endpointId);
  if (slot === undefined) return;
  const hasAnswered = network()
    .sends()
    .some((send) => {
      const heardAtMs = send.heard?.atMs ?? Infinity;
      return (
        send.url === slot.url &&
        isHeardDelivered(send) &&
        heardAtMs <= seenAtMs &&
        heardAtMs + WRITTEN_MS >= before.seenAtMs
      );
    });
  if (!hasAnswered) trace.violation("told truly", `${name} has recovered, and answered nobody`);
}

/** Nobody is disabled for failing who was not told before. */
function checkWarned({ trace, limits, clocks }: NoticeScene, noted: Noted): void {
  if (noted.kind !== "disabled" || noted.reason?.startsWith("no attempt succeeded") !== true) return;
  const warning = noted.before;
  const name = `${noted.endpointId} at ${noted.atMs}`;
  if (warning?.kind !== "failing" || !warning.isRemembered || warning.next !== noted)
    return trace.violation("owners are told", `${name} is disabled unwarned`);
  const noticeMs = noted.atMs - warning.atMs + 2 * clocks.skewMsMax;
  if (clocks.steps.length === 0 && noticeMs < limits.disableAfterMs * NOTICE_FRACTION)
    trace.violation("owners are told", `${name} is disabled ${noticeMs} ms after its warning`);
}

function checkDeadTold(scene: NoticeScene, slot: Slot, letter: DeadLetter, arrived: readonly ToldNotice[]): void {
  const { id, tenant, endpointId, state, envelope, atMs } = letter;
  if (state !== "dead" || tenant !== slot.tenant || endpointId === UNKNOWN_ENDPOINT || isOwnType(envelope.type)) return;
  if (arrived.some(({ type, data }) => type === "posthaste.delivery.dead" && data["delivery_id"] === id)) return;
  const { skewMsMax, steps } = scene.clocks;
  if (steps.length > 0 || (slot.createdAtMs ?? Infinity) >= atMs - skewMsMax) return;
  if (scene.mayBeUntold(atMs - skewMsMax - GIVEN_UP_MS, atMs + skewMsMax)) return;
  scene.trace.violation("owners are told", `${id} of ${letter.eventId} to ${endpointId} is dead, told to nobody`);
}

/** Of one process: `mayBeUntold`. */
export function wasLossy({ history, hasSmallLanes }: Witness, fromMs: number, toMs: number): boolean {
  const isBlind = history.blinks.some((blink) => blink.fromMs <= fromMs + GIVEN_UP_MS && blink.toMs >= fromMs);
  return hasSmallLanes || isBlind || hadDiskTrouble(history, fromMs, toMs);
}

/**
 * The promises that a fleet must keep. Each attempt is held against them as it leaves; what became of each event when all
 * is quiet. Without a disruption there are no duplicates and nothing is late; with one, duplicates are allowed, losses never.
 */
import { HELD_STATES } from "@posthaste/shared/domain/delivery.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { DistributedDrivers } from "@posthaste/shared/drivers/distributed.ts";
import { WRITING_MS_MAX } from "@posthaste/shared/drivers/partitioned/delay-topics/log-time.ts";
import { DIRECTORY_AGE_MS_MAX } from "@posthaste/shared/drivers/redis/directory/answers.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import type { Chain, Member } from "../chains.ts";
import { attemptOf, bodyText, isAnsweredDelivered, isHeardDelivered, membersOf } from "../chains.ts";
import { checkCancels, checkNotCancelled, isCancelled } from "../canceller.ts";
import type { Acceptance, Cancel, Published, Slot } from "../model.ts";
import { idsOf, knownStateAt, wasAsked } from "../model.ts";
import { checkNotices } from "../notice-invariants.ts";
import { toldIn } from "../notices.ts";
import type { ClockPlan } from "../scenario.ts";
import type { Scene } from "../send-invariants.ts";
import { checkBounds, checkBytes, earliestOf, earlyMsMax, isSignedBy, publishedOf } from "../send-invariants.ts";
import type { Send } from "../virtual-network.ts";
import type { Disruptions } from "./disruptions.ts";
import type { Emptyings } from "./emptyings.ts";
import type { FleetNotices } from "./fleet-notices.ts";
import { checkFleetNoticeSent } from "./fleet-notices.ts";

export interface FleetWitness extends Scene {
  readonly disruptions: Disruptions;
  /** Redis away, or a call to it lost. */
  readonly redisTroubles: Disruptions;
  /** All others: processes that come and go, and the log away. */
  readonly otherTroubles: Disruptions;
  /** Redis or the log away, or a call lost: nothing can be told. */
  readonly storeTroubles: Disruptions;
  readonly emptyings: Emptyings;
  readonly notices: FleetNotices;
}

/** Between an owner's answer and the last attempt that does not know of it yet: what memory may be old, and a look at it. */
const STALE_MS = DIRECTORY_AGE_MS_MAX + 1000;
const HIGH_MS_MAX = 2500;
/** More than the clocks of a fleet differ by that nobody set. */
const AHEAD_MS = 10_000;
/** After its creation an endpoint may be unknown to a process that is cut off from Redis. */
const UNKNOWN_MS = 30_000;

export function createFleetSendInvariants(witness: FleetWitness): (send: Send, slot: Slot | null) => void {
  const bodyById = new Map<string, string>();
  return (send, slot) => {
    const { trace, chains } = witness;
    const told = toldIn(send.body);
    if (slot !== null && told !== null) {
      checkBytes(witness, send, slot, [], bodyById);
      checkSignature(witness, send, slot);
      checkOpen(witness, send, slot);
      return checkFleetNoticeSent(witness, send, slot, told);
    }
    const members = membersOf(send);
    if (slot === null || members === null || members.length === 0) {
      return trace.violation("nothing uninvited", `#${send.index} to ${send.url}: ${bodyText(send)}`);
    }
    if (!isRenamed(witness, members)) checkBytes(witness, send, slot, members, bodyById);
    checkSignature(witness, send, slot);
    checkOpen(witness, send, slot);
    checkBounds(witness, send, slot, members);
    for (const member of members) {
      const published = publishedOf(witness, send, slot, member);
      if (published === null) continue;
      if (!witness.model.isForgotten(published)) checkNotCancelled(witness, send, slot.tenant, member.eventId);
      checkAttempt(witness, send, chains.add(send, slot, member, published));
    }
  };
}

/** The id was the publisher's own, and Redis forgot it: another event may have it now. */
function isRenamed({ model }: FleetWitness, members: readonly Member[]): boolean {
  return members.some(({ n }) => {
    const published = model.published.find((each) => each.n === n);
    return published !== undefined && published.ownId !== null && model.isForgotten(published);
  });
}

/** By one that the owner has, and by the newest once all processes must know of it. */
function checkSignature({ trace, disruptions }: FleetWitness, send: Send, slot: Slot): void {
  if (slot.hasUnknownSecret || slot.mayBeLost) return;
  if (!slot.secrets.some((secret) => isSignedBy(send, secret))) {
    trace.violation("signature", `#${send.index}: not by any secret of its owner`);
  }
  const newest = slot.secrets.at(-1);
  const rotatedAtMs = slot.done.findLast(({ op, ackedAtMs }) => op === "rotate" && ackedAtMs !== null)?.ackedAtMs ?? 0;
  const isKnown = send.sentAtMs > rotatedAtMs + STALE_MS && disruptions.wasQuiet(rotatedAtMs, send.sentAtMs);
  if (isKnown && newest !== undefined && !isSignedBy(send, newest)) {
    trace.violation("signature", `#${send.index}: not by the newest secret its owner has`);
  }
}

function checkOpen({ trace, disruptions }: FleetWitness, send: Send, slot: Slot): void {
  if (slot.mayBeLost) return;
  const sinceMs = send.sentAtMs - STALE_MS;
  const [before, now] = [knownStateAt(slot, sinceMs), knownStateAt(slot, send.sentAtMs)];
  const isChanging = slot.done.some(({ issuedAtMs }) => issuedAtMs >= sinceMs);
  if (before !== "open" && before === now && !isChanging && disruptions.wasQuiet(sinceMs, send.sentAtMs)) {
    trace.violation("closed endpoint", `#${send.index} to one that is ${now}`);
  }
}

function checkAttempt(witness: FleetWitness, send: Send, chain: Chain): void {
  const { trace, model, disruptions } = witness;
  const attempt = attemptOf(send);
  const { slot, published, eventId } = chain;
  const where = `#${send.index} ${eventId} to ${slot.url} attempt ${attempt}`;
  const prior = chain.sends.slice(0, -1);
  const replays = model.replays.filter((each) => each.eventId === eventId).length;
  const earliestMs = earliestOf(chain, prior, attempt);
  if (earliestMs === null) trace.violation("attempt numbers", `${where}: no attempt ${attempt - 1} failed before it`);
  else if (send.sentAtMs + fleetEarlyMsMax(witness.clocks) < earliestMs)
    trace.violation("not before", `${where}: ${earliestMs - send.sentAtMs} ms early`);
  if (published.deliverAtMs !== null && send.sentAtMs + fleetEarlyMsMax(witness.clocks) < published.deliverAtMs) {
    trace.violation("not before", `${where}: ${published.deliverAtMs - send.sentAtMs} ms before its deliver_at`);
  }
  if (replays > 0 || !disruptions.wasQuiet(published.issuedAtMs, send.sentAtMs)) return;
  const before = prior.filter((each) => attemptOf(each) === attempt && !(isHandedOutEarly(send) && isUnderWay(each)));
  if (before.length > 0) trace.violation("duplicates", `${where}: made before`);
  if (prior.some(isHeardDelivered)) trace.violation("duplicates", `${where}: heard 2xx before`);
}

/**
 * By a process whose clock was set ahead: until it has planned something itself it ends waits of others early, those of copies of
 * requests that are still under way among them (adr 0017).
 */
function isHandedOutEarly({ wallMs, sentAtMs }: Send): boolean {
  return wallMs - sentAtMs > AHEAD_MS;
}

function isUnderWay({ heard }: Send): boolean {
  return heard === null;
}

export async function checkFleetEnd(witness: FleetWitness, drivers: DistributedDrivers, nowMs: number): Promise<void> {
  const letters = await allLetters(drivers);
  checkCancels({
    ...witness,
    model: { ...witness.model, cancels: witness.model.cancels.filter(isRemembered(witness)) },
  });
  const mayBeUntold = (fromMs: number, toMs: number): boolean => !witness.storeTroubles.wasQuiet(fromMs, toMs);
  checkNotices({ ...witness, mayBeUntold }, letters, nowMs);
  await checkSpool(witness, drivers);
  const directories = new Map<string, Awaited<ReturnType<DistributedDrivers["directory"]["endpoints"]>>>();
  for (const { tenant } of witness.model.slots) {
    directories.set(tenant, await drivers.directory.endpoints(tenant, await drivers.directory.version(tenant)));
  }
  for (const letter of letters) {
    const endpoint = directories.get(letter.tenant)?.endpoints.find(({ id }) => id === letter.endpointId);
    checkLetter(witness, letter, endpoint?.status === "active");
  }
  for (const published of witness.model.published) {
    const ids = idsOf(published);
    if (published.isOnce && ids.length > 1 && !witness.model.isForgotten(published)) {
      witness.trace.violation("idempotency", `event ${published.n} is ${ids.join(" and ")}`);
    }
    checkPriority(witness, published);
    for (const id of ids) await checkEvent(witness, drivers, published, id, letters, nowMs);
  }
}

/** Redis still knows of it what it was told. */
function isRemembered({ model }: FleetWitness): (cancel: Cancel) => boolean {
  return ({ tenant, eventId }) =>
    !model.published.some((each) => each.tenant === tenant && idsOf(each).includes(eventId) && model.isForgotten(each));
}

/** Once the log is back all goes there again, and nothing is left where it lay meanwhile. */
async function checkSpool({ trace }: FleetWitness, { spool, checks }: DistributedDrivers): Promise<void> {
  const depth = await spool?.depth();
  if (depth?.count !== 0 || depth.bytes !== 0) trace.violation("spool", `at the end it has ${JSON.stringify(depth)}`);
  const sentence = await checks.kafka();
  if (sentence !== null) trace.violation("spool", sentence);
}

async function allLetters({ deadLetters }: DistributedDrivers): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  let cursor: string | null = null;
  do {
    const page = await deadLetters.list({ tenant: null }, 100, cursor);
    letters.push(...page.rows);
    cursor = page.next;
  } while (cursor !== null);
  return letters;
}

function checkLetter({ trace, model }: FleetWitness, letter: DeadLetter, isActive: boolean): void {
  const name = `${letter.id} (${letter.eventId} to ${letter.endpointId})`;
  if (letter.reason.trim() === "") trace.violation("readable reason", `dead letter ${name} has none`);
  const slot = model.slots.find(({ id }) => id === letter.endpointId);
  const isToldDeleted = letter.reason.includes("was deleted");
  if (slot !== undefined && isToldDeleted && !slot.mayBeLost && !wasAsked(slot, "delete"))
    trace.violation("true reason", `${name}: ${letter.reason}, and nobody deleted it`);
  if (isActive && slot?.mayBeLost !== true && HELD_STATES.some((state) => state === letter.state)) {
    trace.violation("nothing forgotten", `${name} is ${letter.state}, but its endpoint is active`);
  }
}

function isOwed(slot: Slot, published: Published, { issuedAtMs }: Acceptance): boolean {
  if (slot.tenant !== published.tenant || slot.createdAtMs === null || slot.createdAtMs > issuedAtMs) return false;
  return !wasAsked(slot, "delete") && matches(slot, published.type);
}

async function checkEvent(
  witness: FleetWitness,
  { ledger }: DistributedDrivers,
  published: Published,
  id: string,
  letters: readonly DeadLetter[],
  nowMs: number,
): Promise<void> {
  const { trace, model, chains, otherTroubles, emptyings } = witness;
  const acceptance = published.acceptances.find((each) => each.id === id);
  assert(acceptance !== undefined, "the ids of an event are those of its acceptances");
  const isKnown = (await ledger.event(published.tenant, id)) !== null;
  const deliveries = isKnown
    ? (await ledger.deliveries({ tenant: published.tenant, eventId: id }, 1000, null)).rows
    : [];
  // What was accepted and delivered while Redis was away, or did not answer, is shown when it is back.
  const isExact = otherTroubles.wasQuiet(published.issuedAtMs, nowMs) && !model.isForgotten(published);
  if (!isKnown && isExact)
    trace.violation("nothing forgotten", `the ledger does not know ${id} (event ${published.n})`);
  for (const slot of model.slots.filter((each) => isOwed(each, published, acceptance))) {
    const isDelivered = chains.find(slot, id)?.sends.some(isAnsweredDelivered) === true;
    if (slot.mayBeLost || emptyings.isLost(id)) continue;
    // Without Redis nobody can know what another process has just written: the endpoints known last are delivered to.
    const createdMs = slot.createdAtMs ?? 0;
    if (acceptance.atMs - createdMs < UNKNOWN_MS && !witness.redisTroubles.wasQuiet(createdMs, acceptance.atMs))
      continue;
    const hasLetter = letters.some(({ eventId, endpointId }) => eventId === id && endpointId === slot.id);
    if (isDelivered || hasLetter || isCancelled(model, published.tenant, id)) continue;
    const own = deliveries.filter(({ endpointId }) => endpointId === slot.id);
    if (own.some(isExplained)) continue;
    const seen = own.map(({ state, reason }) => `${state} (${reason})`).join(", ");
    trace.violation(
      "202 means durable",
      `${id} (event ${published.n}) never reached ${slot.url}; ledger: ${seen || "nothing"}`,
    );
  }
  for (const delivery of deliveries) checkLedger(witness, delivery, isExact);
}

function isExplained({ state, reason }: DeliveryView): boolean {
  if (state === "delivered" || state === "pending" || state === "retrying") return false;
  return reason !== null && reason !== "";
}

function checkLedger({ trace, model, chains }: FleetWitness, delivery: DeliveryView, isExact: boolean): void {
  const { state, reason, endpointId, eventId } = delivery;
  const name = `${eventId} to ${endpointId} is ${state}`;
  const slot = model.slots.find((each) => each.id === endpointId);
  const sends = slot === undefined ? [] : (chains.find(slot, eventId)?.sends ?? []);
  if (slot !== undefined && state === "delivered" && !sends.some(isAnsweredDelivered)) {
    trace.violation("ledger agrees", `${name}, but no 2xx came`);
  }
  if (!isExact) return;
  if (state !== "delivered" && (reason === null || reason.trim() === "")) {
    trace.violation("readable reason", `${name} and says not why`);
  }
  if (state === "pending" || state === "retrying")
    trace.violation("ledger agrees", `${name}, although nothing waits any more`);
}

function checkPriority({ trace, model, chains, disruptions }: FleetWitness, published: Published): void {
  const slot = model.slots.find(({ receiver }) => receiver.isHealthy);
  const acceptance = published.acceptances[0];
  if (slot === undefined || acceptance === undefined) return;
  if (published.priority !== "HIGH" || published.deliverAtMs !== null || !isOwed(slot, published, acceptance)) return;
  const untilMs = acceptance.atMs + HIGH_MS_MAX;
  if (!disruptions.wasQuiet(published.issuedAtMs, untilMs)) return;
  const atMs = chains.find(slot, acceptance.id)?.sends.find(isAnsweredDelivered)?.answered?.atMs ?? Infinity;
  if (atMs > untilMs) {
    trace.violation(
      "priorities and islands",
      `HIGH ${acceptance.id} (event ${published.n}) took ${atMs - acceptance.atMs} ms`,
    );
  }
}

/**
 * As `earlyMsMax`. A clock that is set back ends no wait early: but for one by a little, which is not told from a record that
 * waited for its log.
 */
function fleetEarlyMsMax(clocks: ClockPlan): number {
  const { skewMsMax, steps } = clocks;
  if (steps.some(({ byMs }) => byMs > 0)) return earlyMsMax(clocks);
  const backMs = steps.reduce((sum, { byMs }) => sum - byMs, 0);
  return 2 * skewMsMax + Math.min(backMs, WRITING_MS_MAX);
}

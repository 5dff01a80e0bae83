/** The promises that every single attempt must keep, held against it in the moment it leaves. */
import type { ProcessorLimits } from "@posthaste/processor/limits.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { laneByPriority } from "@posthaste/shared/domain/event.ts";
import { DEFAULT_RETRY_POLICY, parseRetryAfterMs, waitBeforeMs } from "@posthaste/shared/domain/retry-policy.ts";
import { parseSecret, verifyMessage } from "@posthaste/shared/domain/signature.ts";
import { testHasher } from "../support/ambient.ts";
import type { Chain, Chains, Member } from "./chains.ts";
import type { History } from "./history.ts";
import type { Model, Published, Slot } from "./model.ts";
import type { Notices } from "./notices.ts";
import type { ClockPlan } from "./scenario.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Trace } from "./trace.ts";
import type { Send, VirtualNetwork } from "./virtual-network.ts";
import { attemptOf, bodyText, isHeardDelivered, membersOf } from "./chains.ts";
import { checkNotCancelled } from "./canceller.ts";
import { hadDiskTrouble, wasQuiet } from "./history.ts";
import { knownStateAt, mayHaveReopened } from "./model.ts";
import { checkNoticeSent } from "./notice-invariants.ts";
import { toldIn } from "./notices.ts";
import { checkRecall } from "./recall-invariant.ts";
import { headerOf } from "./virtual-network.ts";

export interface Witness {
  readonly trace: Trace;
  readonly model: Model;
  readonly chains: Chains;
  readonly history: History;
  readonly limits: ProcessorLimits;
  readonly hasSmallRetryQueue: boolean;
  readonly hasSmallLanes: boolean;
  readonly notices: Notices;
  readonly clocks: ClockPlan;
  readonly processOf: (index: number) => SimulatedProcess;
  readonly network: () => VirtualNetwork;
}

/** What a process wrote before it died may be this much younger than its last word (linger of settlements, and a commit). */
const UNWRITTEN_MS = 50;
const TIMEOUT_MS = 15_000;
/** From the 410 until the endpoint is disabled, durably. */
const DISABLED_WITHIN_MS = 100;

/** What is known of a world whatever its processes are made of. */
export type Scene = Pick<Witness, "trace" | "model" | "chains" | "limits" | "network" | "clocks">;

export function createSendInvariants(witness: Witness): (send: Send, slot: Slot | null) => void {
  const bodyById = new Map<string, string>();
  return (send, slot) => {
    const { trace, chains } = witness;
    const told = toldIn(send.body);
    if (slot !== null && told !== null) {
      checkBytes(witness, send, slot, [], bodyById);
      checkSignature(witness, send, slot);
      checkOpen(witness, send, slot);
      return checkNoticeSent(witness, send, slot, told);
    }
    const members = membersOf(send);
    if (slot === null || members === null || members.length === 0) {
      return trace.violation("nothing uninvited", `#${send.index} to ${send.url}: ${bodyText(send)}`);
    }
    checkBytes(witness, send, slot, members, bodyById);
    checkSignature(witness, send, slot);
    checkOpen(witness, send, slot);
    checkBounds(witness, send, slot, members);
    for (const member of members) {
      const published = publishedOf(witness, send, slot, member);
      if (published === null) continue;
      const chain = chains.add(send, slot, member, published);
      checkNotCancelled(witness, send, slot.tenant, member.eventId);
      checkAttempt(witness, send, chain);
      checkRecall(witness, send, chain);
    }
  };
}

/** (2) Only what was asked for, for this tenant and subscription, under one id for one wish. */
export function publishedOf({ trace, model }: Scene, send: Send, slot: Slot, member: Member): Published | null {
  const { eventId, n, type } = member;
  const published = model.published.find((each) => each.n === n);
  const violation = (detail: string): null => {
    trace.violation("nothing uninvited", `#${send.index} ${eventId}: ${detail}`);
    return null;
  };
  if (published === undefined) return violation(`event ${n} was never published`);
  if (published.tenant !== slot.tenant)
    return violation(`event of ${published.tenant} at an endpoint of ${slot.tenant}`);
  if (published.type !== type || !matches(slot, type)) return violation(`${slot.url} does not take ${type}`);
  if (published.ownId !== null && published.ownId !== eventId)
    return violation(`the publisher called it ${published.ownId}`);
  if (!member.expectedText(published).test(bodyText(send))) return violation(`other bytes: ${bodyText(send)}`);
  const told = published.acceptances.find(({ id }) => id !== eventId);
  if (published.isOnce && told !== undefined && !model.isForgotten(published))
    trace.violation("idempotency", `event ${n} is ${told.id} and ${eventId}`);
  return published;
}

/** (2) One id, one body, wherever and however often it goes; the attempt's own time. */
export function checkBytes(
  { trace }: Scene,
  send: Send,
  slot: Slot,
  members: readonly Member[],
  bodyById: Map<string, string>,
): void {
  const id = headerOf(send, "webhook-id") ?? "";
  const isGroup = id.startsWith("grp_");
  if (isGroup === (slot.batch === null) && isGroup)
    trace.violation("same bytes", `#${send.index}: a group for an endpoint without batches`);
  if (slot.batch !== null && members.length > slot.batch.max_events) {
    trace.violation(
      "bounds",
      `#${send.index}: ${members.length} events in a group of at most ${slot.batch.max_events}`,
    );
  }
  const key = `${slot.tenant} ${id}`;
  const before = bodyById.get(key);
  if (before !== undefined && before !== bodyText(send))
    trace.violation("same bytes", `#${send.index} ${id}: ${before} then ${bodyText(send)}`);
  bodyById.set(key, bodyText(send));
  const timestampS = Number(headerOf(send, "webhook-timestamp"));
  if (timestampS !== Math.floor(send.wallMs / 1000))
    trace.violation("fresh timestamp", `#${send.index}: ${timestampS} at ${send.wallMs}`);
  if (new Set(members.map(({ eventId }) => eventId)).size < members.length)
    trace.violation("same bytes", `#${send.index} ${id}: an event is in it twice: ${bodyText(send)}`);
}

/** (2) By each secret in force: whoever holds only the old one, or only the new one, can verify. */
function checkSignature(witness: Witness, send: Send, slot: Slot): void {
  if (!witness.processOf(send.processIndex).readsDirectory()) return;
  const secrets = storedEndpoint(witness, send, slot)?.secrets ?? [];
  const inForce = secrets.filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > send.wallMs);
  if (inForce.length === 0 || !inForce.every(({ secret }) => isSignedBy(send, secret))) {
    witness.trace.violation("signature", `#${send.index}: not by each of ${inForce.length} secrets in force`);
  }
  // The newest that the owner has, unless one was made that it never heard of.
  const newest = slot.secrets.at(-1);
  if (!slot.hasUnknownSecret && newest !== undefined && !isSignedBy(send, newest)) {
    witness.trace.violation("signature", `#${send.index}: not by the newest secret its owner has`);
  }
}

export function isSignedBy(send: Send, secret: string): boolean {
  const parsed = parseSecret(secret);
  const verified = verifyMessage({
    id: headerOf(send, "webhook-id"),
    timestamp: headerOf(send, "webhook-timestamp"),
    signature: headerOf(send, "webhook-signature"),
    body: send.body,
    keys: parsed.kind === "ok" ? [parsed.key] : [],
    hasher: testHasher,
    nowS: Math.floor(send.wallMs / 1000),
    toleranceS: 5,
  });
  return verified.kind === "verified";
}

/** (3) Not to an endpoint that is deleted, paused or disabled: by its owner's word, and by our own record. */
function checkOpen(witness: Witness, send: Send, slot: Slot): void {
  if (!witness.processOf(send.processIndex).readsDirectory()) return checkNotGone(witness, send, slot);
  const known = knownStateAt(slot, send.sentAtMs);
  if (known !== "open") witness.trace.violation("closed endpoint", `#${send.index} to one that is ${known}`);
  checkNotGone(witness, send, slot);
  const stored = storedEndpoint(witness, send, slot);
  slot.storedId ??= stored?.id ?? null;
  if (stored?.status !== "active")
    witness.trace.violation("closed endpoint", `#${send.index} to one stored as ${stored?.status ?? "missing"}`);
}

/** (3) 410 disables: beyond what was in flight nothing follows, unless the owner opened it again. */
function checkNotGone({ trace, history }: Witness, send: Send, slot: Slot): void {
  const { goneAtMs } = slot;
  if (goneAtMs === null || send.sentAtMs <= goneAtMs + DISABLED_WITHIN_MS) return;
  if (!wasQuiet(history, goneAtMs, goneAtMs + DISABLED_WITHIN_MS) || mayHaveReopened(slot, goneAtMs)) return;
  trace.violation("closed endpoint", `#${send.index} to one that answered 410 ${send.sentAtMs - goneAtMs} ms before`);
}

function storedEndpoint({ processOf }: Witness, send: Send, slot: Slot): Endpoint | null {
  const found = processOf(send.processIndex).drivers.directory.peek(slot.tenant, 0);
  return found?.endpoints.find(({ url }) => url === slot.url) ?? null;
}

/** (9) Attempts in flight: in all, by lane, by endpoint. */
export function checkBounds(witness: Scene, send: Send, slot: Slot, members: readonly Member[]): void {
  const { limits, trace } = witness;
  const own = [...witness.network().inFlight()].filter(({ processIndex }) => processIndex === send.processIndex);
  const laneOf = (each: Send): Lane => {
    const n = membersOf(each)?.[0]?.n;
    return laneByPriority[witness.model.published.find((published) => published.n === n)?.priority ?? "HIGH"];
  };
  const exceed = (name: string, count: number, most: number): void => {
    if (count > most) trace.violation("bounds", `#${send.index}: ${count} attempts in flight ${name}, at most ${most}`);
  };
  exceed("in all", own.length, limits.inFlightMax);
  exceed(`to ${slot.url}`, own.filter(({ url }) => url === slot.url).length, limits.inFlightPerEndpointMax);
  if (own.length <= Math.min(limits.inFlightLowMax, limits.inFlightMediumMax)) return;
  const lanes = own.map(laneOf);
  exceed("of LOW", lanes.filter((lane) => lane === "low").length, limits.inFlightLowMax);
  exceed("of MEDIUM and LOW", lanes.filter((lane) => lane !== "high").length, limits.inFlightMediumMax);
  if (members.length === 0) trace.violation("bounds", `#${send.index} carries nothing`);
}

/** (2, 3, 4) Numbers rise from 1, none comes early, and none again but for a crash. */
function checkAttempt(witness: Witness, send: Send, chain: Chain): void {
  const { trace, history, model } = witness;
  const attempt = attemptOf(send);
  const { slot, published, eventId } = chain;
  const where = `#${send.index} ${eventId} to ${slot.url} attempt ${attempt}`;
  const prior = chain.sends.slice(0, -1);
  const replays = model.replays.filter((each) => each.eventId === eventId && each.endpointId === slot.storedId).length;
  const crashes = touchingCrashes(history, chain, prior, send.sentAtMs);
  // A crash repeats what was without its ack. With a disk that failed that may be both, the event in its lane and its retry.
  const perCrash = hadDiskTrouble(history, published.issuedAtMs, send.sentAtMs) ? 3 : 2;
  const copies = (1 + replays) * perCrash ** Math.min(crashes, 10);
  const same = prior.filter((each) => attemptOf(each) === attempt && !isUnfinished(witness, each)).length;
  if (same >= copies)
    trace.violation("attempt numbers", `${where}: made ${same} times before, ${crashes} crashes, ${replays} replays`);
  const delivered = prior.filter(isHeardDelivered).length;
  if (delivered >= copies)
    trace.violation(
      "duplicates",
      `${where}: heard 2xx ${delivered} times before, ${crashes} crashes, ${replays} replays`,
    );
  // What a full retry queue sent through the dead-letter record comes back when there is room: it has no time of its own.
  const isDetoured = witness.hasSmallRetryQueue && history.movedAtMs.has(`${slot.storedId} ${eventId}`);
  const earliestMs = isDetoured ? 0 : earliestOf(chain, prior, attempt);
  if (earliestMs === null) trace.violation("attempt numbers", `${where}: no attempt ${attempt - 1} failed before it`);
  else if (send.sentAtMs + earlyMsMax(witness.clocks) < earliestMs)
    trace.violation("not before", `${where}: ${earliestMs - send.sentAtMs} ms early`);
  if (published.deliverAtMs !== null && send.sentAtMs + earlyMsMax(witness.clocks) < published.deliverAtMs) {
    trace.violation("not before", `${where}: ${published.deliverAtMs - send.sentAtMs} ms before its deliver_at`);
  }
}

/** Times of day are kept by clocks that differ: an attempt is early by no more than they do; one that is set may be off by any time. */
export function earlyMsMax({ skewMsMax, steps }: ClockPlan): number {
  return steps.length > 0 ? Infinity : 2 * skewMsMax;
}

/** Broken off by a stop, or its sender died before it heard anything: the same attempt is made again. */
function isUnfinished({ processOf }: Witness, send: Send): boolean {
  return wasBrokenOff(send) || (send.heard === null && !processOf(send.processIndex).isAlive());
}

function wasBrokenOff({ heard }: Send): boolean {
  return heard !== null && heard.result.kind === "fault" && heard.result.fault === "aborted";
}

/** Epoch ms of the first moment this attempt may be made; null when nothing led to it. */
export function earliestOf({ slot, published }: Chain, prior: readonly Send[], attempt: number): number | null {
  const policy = slot.retry ?? DEFAULT_RETRY_POLICY;
  if (attempt === 1) return published.issuedAtMs + (waitBeforeMs(policy, 1, 0) ?? 0);
  const waitMs = waitBeforeMs(policy, attempt, 0);
  if (waitMs === null) return null;
  let earliestMs: number | null = null;
  for (const each of prior) {
    if (attemptOf(each) !== attempt - 1 || each.heard === null || isHeardDelivered(each) || wasBrokenOff(each))
      continue;
    const { atMs, result } = each.heard;
    const askedMs = result.kind === "answered" ? (parseRetryAfterMs(result.retryAfter, atMs) ?? 0) : 0;
    earliestMs = Math.min(earliestMs ?? Infinity, atMs + Math.max(waitMs, askedMs));
  }
  return earliestMs;
}

/**
 * Crashes that may have made a second copy of the delivery: it was under way, or what became of it was not yet written.
 * A graceful stop never makes one, unless a disk that failed kept the ledger from knowing.
 */
function touchingCrashes(
  history: History,
  { slot, eventId, published }: Chain,
  prior: readonly Send[],
  nowMs: number,
): number {
  const moves = history.movedAtMs.get(`${slot.storedId} ${eventId}`) ?? [];
  const ends = history.ends.filter(({ atMs }) => atMs >= published.issuedAtMs);
  if (hadDiskTrouble(history, published.issuedAtMs, nowMs)) return ends.length;
  return ends.filter(({ kind, atMs }) => {
    if (kind === "stop") return false;
    if (prior.every((each) => each.sentAtMs > atMs)) return true;
    if (moves.some((movedAtMs) => movedAtMs <= atMs && movedAtMs + UNWRITTEN_MS >= atMs)) return true;
    return prior.some((each) => {
      const overAtMs = each.heard?.atMs ?? each.sentAtMs + TIMEOUT_MS;
      return each.sentAtMs <= atMs && overAtMs + UNWRITTEN_MS >= atMs;
    });
  }).length;
}

/** The promises that show when all is quiet again: what became of each accepted event, and what is left behind. */
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { HELD_STATES, MISSED_STATES, deliveryId, isFinal } from "@posthaste/shared/domain/delivery.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import { EVENTS_KEPT_MS } from "@posthaste/shared/drivers/sqlite/event-store.ts";
import type { Acceptance, Published, Slot } from "./model.ts";
import type { Witness } from "./send-invariants.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import { isAnsweredDelivered, isHeardDelivered } from "./chains.ts";
import { checkCancels, isCancelled } from "./canceller.ts";
import { crashesSince, hadDiskTrouble, wasQuiet } from "./history.ts";
import { idsOf, wasAsked } from "./model.ts";
import { checkNotices, wasLossy } from "./notice-invariants.ts";
import { testHasher } from "../support/ambient.ts";

/** A HIGH event to an endpoint that is well is delivered within this, whatever else goes on. */
export const HIGH_MS_MAX = 2500;
/** Retention looks at most once a minute; nothing else may have a timer when there is nothing to do. */
export const RETENTION_MS_MIN = 59_000;

interface Remains {
  readonly nowMs: number;
  readonly letters: readonly DeadLetter[];
  readonly deliveriesOf: (tenant: string, eventId: string) => Promise<readonly DeliveryView[] | null>;
}

export async function checkEnd(witness: Witness, last: SimulatedProcess, nowMs: number): Promise<void> {
  checkIdle(witness, last);
  await checkEmpty(witness, last);
  const remains = { nowMs, letters: await allLetters(last), deliveriesOf: readDeliveries(last) };
  for (const letter of remains.letters) await checkLetter(witness, last, letter);
  checkCancels(witness);
  const mayBeUntold = (fromMs: number, toMs: number): boolean => wasLossy(witness, fromMs, toMs);
  checkNotices({ ...witness, mayBeUntold }, remains.letters, nowMs);
  for (const published of witness.model.published) {
    const ids = idsOf(published);
    if (published.isOnce && ids.length > 1)
      witness.trace.violation("idempotency", `event ${published.n} is ${ids.join(" and ")}`);
    checkPriority(witness, published);
    for (const id of ids) await checkEvent(witness, published, id, remains, nowMs);
  }
}

/** (10) */
function checkIdle({ trace }: Witness, last: SimulatedProcess): void {
  const pending = last.pendingMs();
  if (pending.length > 1 || pending.some((ms) => ms < RETENTION_MS_MIN)) {
    trace.violation("idle", `timers with nothing to do, due in ${pending.join(", ")} ms`);
  }
}

async function checkEmpty({ trace }: Witness, { drivers }: SimulatedProcess): Promise<void> {
  for (const lane of LANES) {
    const { count } = await drivers.lanes.depth(lane);
    if (count !== 0) trace.violation("idle", `lane ${lane} still holds ${count}`);
  }
  const { count } = await drivers.retryQueue.depth();
  if (count !== 0) trace.violation("idle", `the retry queue still holds ${count}`);
}

async function allLetters({ drivers }: SimulatedProcess): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  let cursor: string | null = null;
  do {
    const page = await drivers.deadLetters.list({ tenant: null }, 1000, cursor);
    letters.push(...page.rows);
    cursor = page.next;
  } while (cursor !== null);
  return letters;
}

/** Null when the ledger does not keep the event any more. */
function readDeliveries({ drivers }: SimulatedProcess): Remains["deliveriesOf"] {
  return async (tenant, eventId) => {
    if ((await drivers.ledger.event(tenant, eventId)) === null) return null;
    return (await drivers.ledger.deliveries({ tenant, eventId }, 1000, null)).rows;
  };
}

/** (1, 7) A letter has a reason; one that is held is held for an endpoint that does not take deliveries now. */
async function checkLetter({ trace }: Witness, { drivers }: SimulatedProcess, letter: DeadLetter): Promise<void> {
  const name = `${letter.id} (${letter.eventId} to ${letter.endpointId})`;
  if (letter.reason.trim() === "") trace.violation("readable reason", `dead letter ${name} has none`);
  const { endpoints } = await drivers.directory.endpoints(letter.tenant, 0);
  const endpoint = endpoints.find(({ id }) => id === letter.endpointId);
  const isHeld = HELD_STATES.some((state) => state === letter.state);
  if (isHeld && endpoint?.status === "active")
    trace.violation("nothing forgotten", `${name} is ${letter.state}, but its endpoint is active`);
}

/** (1, 5, 7) */
async function checkEvent(
  witness: Witness,
  published: Published,
  id: string,
  remains: Remains,
  nowMs: number,
): Promise<void> {
  const { trace, model } = witness;
  const acceptance = published.acceptances.find((each) => each.id === id);
  assert(acceptance !== undefined, "the ids of an event are those of its acceptances");
  const deliveries = await remains.deliveriesOf(published.tenant, id);
  // Clocks that were set forward prune sooner.
  const aheadMs = witness.clocks.steps.reduce((sum, { byMs }) => sum + Math.abs(byMs), witness.clocks.skewMsMax);
  if (deliveries === null && nowMs + aheadMs < acceptance.atMs + EVENTS_KEPT_MS) {
    trace.violation("nothing forgotten", `the ledger does not know ${id} (event ${published.n})`);
  }
  for (const slot of model.slots) {
    if (!isOwed(slot, published, acceptance) || isCancelled(model, published.tenant, id)) continue;
    checkReached(witness, published, id, slot, remains, deliveries);
  }
  for (const delivery of deliveries ?? []) {
    checkLedger(witness, published, delivery, nowMs);
    checkKept(witness, published, delivery, remains);
  }
}

/** (1, 4) What the ledger calls dead or held lies in the record, unless someone took it out by hand. */
function checkKept(
  { trace, model, history }: Witness,
  { issuedAtMs }: Published,
  delivery: DeliveryView,
  { letters, nowMs }: Remains,
): void {
  const { eventId, endpointId, state, updatedAtMs } = delivery;
  const id = deliveryId(delivery, delivery.acceptedAtMs, testHasher);
  if (!MISSED_STATES.some((missed) => missed === state) || letters.some((letter) => letter.id === id)) return;
  if (model.replays.some((replay) => replay.deliveryId === id)) return;
  // Later news may have been lost with the disk.
  if (hadDiskTrouble(history, issuedAtMs, nowMs)) return;
  trace.violation(
    "nothing forgotten",
    `${eventId} to ${endpointId} is ${state} in the ledger since ${updatedAtMs}, but ${id} is no dead letter`,
  );
}

/** The owner had its 201 before the event was published, and never asked for the endpoint's end. */
function isOwed(slot: Slot, published: Published, { issuedAtMs }: Acceptance): boolean {
  if (slot.tenant !== published.tenant || slot.createdAtMs === null || slot.createdAtMs > issuedAtMs) return false;
  return !wasAsked(slot, "delete") && matches(slot, published.type);
}

function checkReached(
  { trace, chains }: Witness,
  published: Published,
  id: string,
  slot: Slot,
  { letters }: Remains,
  deliveries: readonly DeliveryView[] | null,
): void {
  const isDelivered = chains.find(slot, id)?.sends.some(isAnsweredDelivered) === true;
  // That of an event which never was fanned out stands for all of its endpoints.
  const hasLetter = letters.some(
    ({ eventId, endpointId }) => eventId === id && (endpointId === slot.id || endpointId === UNKNOWN_ENDPOINT),
  );
  const own = (deliveries ?? []).filter(({ endpointId }) => endpointId === slot.id);
  const isExplained = own.some(
    ({ state, reason }) =>
      state !== "delivered" && state !== "pending" && state !== "retrying" && reason !== null && reason !== "",
  );
  if (isDelivered || hasLetter || isExplained) return;
  const seen = own.map(({ state, reason }) => `${state} (${reason})`).join(", ");
  trace.violation(
    "202 means durable",
    `${id} (event ${published.n}) never reached ${slot.url} ${slot.id}; ledger: ${seen || "nothing"}`,
  );
}

/** (7) What the ledger says is what happened; it may lag behind a crash or a disk that failed, never invent. */
function checkLedger(witness: Witness, published: Published, delivery: DeliveryView, nowMs: number): void {
  const { trace, model, chains, history } = witness;
  const { state, reason, endpointId, eventId } = delivery;
  const name = `${eventId} to ${endpointId} is ${state}`;
  const isLossy = hadDiskTrouble(history, published.issuedAtMs, nowMs);
  if (state !== "delivered" && (reason === null || reason.trim() === "") && !(state === "pending" && isLossy)) {
    trace.violation("readable reason", `${name} and says not why`);
  }
  if ((state === "pending" || state === "retrying") && !isLossy)
    trace.violation("ledger agrees", `${name}, although nothing waits any more`);
  const slot = model.slots.find((each) => each.storedId === endpointId || each.id === endpointId);
  const sends = slot === undefined ? [] : (chains.find(slot, eventId)?.sends ?? []);
  const wasHeard = sends.some(isHeardDelivered);
  if (state === "delivered" && !wasHeard) trace.violation("ledger agrees", `${name}, but no 2xx came`);
  if (wasHeard && state !== "delivered" && isFinal(state) && !isLossy && delivery.generation === 0) {
    const isReplayed = model.replays.some((replay) => replay.eventId === eventId && replay.endpointId === endpointId);
    if (crashesSince(history, published.issuedAtMs).length === 0 && !isReplayed)
      trace.violation("ledger agrees", `${name}, but a 2xx came`);
  }
}

/** (8) Priorities hold and endpoints are islands: HIGH to the endpoint that is always well. */
function checkPriority({ trace, model, chains, history }: Witness, published: Published): void {
  const slot = model.slots.find(({ receiver }) => receiver.isHealthy);
  const acceptance = published.acceptances[0];
  if (slot === undefined || acceptance === undefined || published.priority !== "HIGH" || published.deliverAtMs !== null)
    return;
  if (!isOwed(slot, published, acceptance)) return;
  const untilMs = acceptance.atMs + HIGH_MS_MAX;
  if (!wasQuiet(history, published.issuedAtMs, untilMs)) return;
  const delivered = chains.find(slot, acceptance.id)?.sends.find(isAnsweredDelivered);
  const atMs = delivered?.answered?.atMs ?? Infinity;
  if (atMs > untilMs)
    trace.violation(
      "priorities and islands",
      `HIGH ${acceptance.id} (event ${published.n}) took ${atMs - acceptance.atMs} ms`,
    );
}

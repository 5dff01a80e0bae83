/** Publishers who change their mind: some events with `deliver_at` are cancelled, most of them when their time is about to come. */
import type { Chains } from "./chains.ts";
import type { Cancel, Model, Published } from "./model.ts";
import { cancelOf } from "./model.ts";
import type { Actor } from "./publisher.ts";
import type { Send } from "./virtual-network.ts";
import type { Trace } from "./trace.ts";

/** One event in so many. */
const EVERY = 3;
/** From the event's time. */
const OFFSETS_MS = [-20_000, -1000, -60, -40, -20, -10, -5, 0, 20] as const;

/** At most once for an event. By its number and not by chance, so that the rest of the world stays as it is. */
export function planCancel(actor: Actor, published: Published, eventId: string): void {
  const { n, tenant, deliverAtMs } = published;
  if (deliverAtMs === null || n % EVERY !== 0 || cancelOf(actor.model, tenant, eventId) !== null) return;
  const cancel: Cancel = { tenant, eventId, answer: null };
  actor.model.cancels.push(cancel);
  const offsetMs = OFFSETS_MS[Math.floor(n / EVERY) % OFFSETS_MS.length] ?? 0;
  const waitMs = Math.max(0, deliverAtMs + offsetMs - actor.clock.now());
  actor.clock.timer(waitMs, () => void perform(actor, cancel, published));
}

async function perform({ client, trace, model }: Actor, cancel: Cancel, published: Published): Promise<void> {
  const path = `/v1/events/${cancel.eventId}/cancel?tenant=${cancel.tenant}`;
  const reply = await client.insist({ method: "POST", path });
  if (reply === null) return;
  if (reply.status === 200) cancel.answer = "cancelled";
  // The answer may have been lost, and then what was cancelled.
  else if (reply.status === 404 && model.isForgotten(published)) return;
  // A ledger that was away when the event was accepted does not know it.
  else if (reply.status === 409 || reply.status === 404) cancel.answer = "refused";
  else trace.violation("honest answers", `cancel: ${reply.status} ${reply.text}`);
}

/** Cancelled is never sent, whichever came first. */
export function checkNotCancelled(
  { model, trace }: { readonly model: Model; readonly trace: Trace },
  send: Send,
  tenant: string,
  eventId: string,
): void {
  if (cancelOf(model, tenant, eventId)?.answer === "cancelled")
    trace.violation("cancelled or sent", `#${send.index} sends ${eventId}, which was cancelled`);
}

/** At the end: nothing of it was ever sent, also before the answer came. */
export function checkCancels({
  model,
  trace,
  chains,
}: {
  readonly model: Model;
  readonly trace: Trace;
  readonly chains: Chains;
}): void {
  for (const { tenant, eventId, answer } of model.cancels) {
    const sends = model.slots
      .filter((slot) => slot.tenant === tenant)
      .flatMap((slot) => chains.find(slot, eventId)?.sends ?? []);
    if (answer === "cancelled" && sends.length > 0)
      trace.violation("cancelled or sent", `${eventId} was cancelled, and sent by #${sends[0]?.index}`);
  }
}

/** Nobody is owed what was cancelled, or may have been. */
export function isCancelled(model: Model, tenant: string, eventId: string): boolean {
  const cancel = cancelOf(model, tenant, eventId);
  return cancel !== null && cancel.answer !== "refused";
}

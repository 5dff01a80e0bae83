/** Owners of endpoints: they create, pause, resume, rotate and delete, and replay what lies in the dead letters. */
import type { Done, Model, Slot } from "./model.ts";
import type { Actor } from "./publisher.ts";
import type { OwnerOp, Scenario } from "./scenario.ts";

export function startOwners(actor: Actor, scenario: Pick<Scenario, "replaysAtMs">): void {
  for (const slot of actor.model.slots) {
    actor.clock.timer(slot.createAtMs, () => void own(actor, slot));
  }
  for (const atMs of scenario.replaysAtMs) actor.clock.timer(atMs, () => void replaySome(actor));
}

/** Everything an owner does to one endpoint, one after the other. */
async function own(actor: Actor, slot: Slot): Promise<void> {
  const { clock, client } = actor;
  const never = new AbortController().signal;
  const startMs = clock.now() - slot.createAtMs;
  const body = creationOf(slot);
  slot.hasUnknownSecret = true;
  const creation = { method: "POST", path: "/v1/endpoints", body } as const;
  let reply = await client.call(creation);
  // Refused for want of a place it has made nothing.
  while (reply?.status === 429) {
    await clock.sleep(1000, never);
    reply = await client.call(creation);
  }
  // Asked once: a repeat would be another endpoint. Without the answer it is one that nobody waits for.
  if (reply?.status !== 201) {
    if (reply !== null && reply.status < 500)
      actor.trace.violation("honest answers", `creation refused: ${reply.text}`);
    return;
  }
  const created = JSON.parse(reply.text) as { id: string; secret: string };
  slot.id = created.id;
  slot.secrets.push(created.secret);
  slot.hasUnknownSecret = false;
  slot.createdAtMs = clock.now();
  for (const { atMs, op } of slot.ops) {
    const waitMs = startMs + atMs - clock.now();
    if (waitMs > 0) await clock.sleep(waitMs, never);
    if (!(await perform(actor, slot, op)) || op === "delete") return;
  }
}

/** At the end: whatever can be brought back is. */
export async function heal(actor: Actor): Promise<void> {
  for (const slot of actor.model.slots) {
    if (slot.id === null || slot.done.some(({ op }) => op === "delete")) continue;
    await perform(actor, slot, "enable");
    await perform(actor, slot, "resume");
  }
}

async function perform(actor: Actor, slot: Slot, op: OwnerOp): Promise<boolean> {
  const { clock, client, trace } = actor;
  const path = `/v1/endpoints/${slot.id}`;
  const query = `?tenant=${slot.tenant}`;
  const done: Done = { op, issuedAtMs: clock.now(), ackedAtMs: null };
  slot.done.push(done);
  if (op === "rotate") return rotate(actor, slot, done);
  const reply = await client.insist(
    op === "delete"
      ? { method: "DELETE", path: `${path}${query}` }
      : { method: "PATCH", path: `${path}${query}`, body: patches[op] },
  );
  if (reply === null) return false;
  const isDone = reply.status >= 200 && reply.status <= 299;
  // A repeated DELETE whose first answer was lost finds nothing.
  // Nor does the owner of an endpoint that nobody remembers.
  if (!isDone && !((op === "delete" || slot.mayBeLost) && reply.status === 404)) {
    trace.violation("honest answers", `${op} of ${slot.id} refused: ${reply.status} ${reply.text}`);
    return false;
  }
  done.ackedAtMs = clock.now();
  return true;
}

/** Asked once: each time makes another secret, and one whose answer is lost stays unknown. */
async function rotate({ client, clock }: Actor, slot: Slot, done: Done): Promise<boolean> {
  const wasUnknown = slot.hasUnknownSecret;
  slot.hasUnknownSecret = true;
  const path = `/v1/endpoints/${slot.id}/rotate-secret?tenant=${slot.tenant}`;
  const reply = await client.call({ method: "POST", path, body: "{}" });
  // Refused while as many secrets sign as may: there is no other than before.
  if (reply?.status === 409) slot.hasUnknownSecret = wasUnknown;
  if (reply?.status !== 200) return true;
  done.ackedAtMs = clock.now();
  slot.secrets.push((JSON.parse(reply.text) as { secret: string }).secret);
  slot.hasUnknownSecret = wasUnknown;
  return true;
}

const patches = {
  pause: '{"paused":true}',
  resume: '{"paused":false}',
  enable: '{"disabled":false}',
} as const satisfies Partial<Record<OwnerOp, string>>;

export function creationOf({ url, tenant, eventTypes, retry, rateLimit, batch, isPausedAtFirst }: Slot): string {
  return JSON.stringify({
    url,
    tenant,
    event_types: eventTypes,
    ...(retry === null ? {} : { retry }),
    ...(rateLimit === null ? {} : { rate_limit: rateLimit }),
    ...(batch === null ? {} : { batch }),
    ...(isPausedAtFirst ? { paused: true } : {}),
  });
}

interface ListedLetter {
  readonly id: string;
  readonly event_id: string;
  readonly endpoint_id: string;
}

/** Replays a few dead letters, each once. */
async function replaySome({ client, chance, clock, model }: Actor & { model: Model }): Promise<void> {
  const reply = await client.insist({ method: "GET", path: "/v1/dead-letters?tenant=*&limit=10" });
  if (reply?.status !== 200) return;
  for (const { id, event_id, endpoint_id } of (JSON.parse(reply.text) as { data: readonly ListedLetter[] }).data) {
    if (chance.isTrue(0.5)) continue;
    model.replays.push({ deliveryId: id, eventId: event_id, endpointId: endpoint_id, issuedAtMs: clock.now() });
    await client.call({ method: "POST", path: `/v1/dead-letters/${id}/replay?tenant=*`, body: "{}" });
  }
}

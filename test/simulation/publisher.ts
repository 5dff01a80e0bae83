/** Publishers: they send what the scenario plans, ask again when no answer came, and remember what they were told. */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { ApiClient, Reply } from "./api-client.ts";
import { planCancel } from "./canceller.ts";
import type { Chance } from "./chance.ts";
import type { Model, Published } from "./model.ts";
import type { EventPlan, PublishPlan } from "./scenario.ts";
import type { Trace } from "./trace.ts";

export interface Actor {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly client: ApiClient;
  readonly trace: Trace;
  readonly model: Model;
}

export function startPublisher(actor: Actor, plans: readonly PublishPlan[]): void {
  for (const plan of plans) actor.clock.timer(plan.atMs, () => void publish(actor, plan));
}

async function publish(actor: Actor, plan: PublishPlan): Promise<void> {
  const { clock, client, chance, model } = actor;
  const nowMs = clock.now();
  const hasKey = plan.events[0]?.identity === "key";
  const wishes = plan.events.map((event) => wishOf(event, plan.tenant, nowMs, hasKey));
  model.published.push(...wishes);
  const isBatch = wishes.length > 1;
  const first = wishes[0];
  if (first === undefined) return;
  // One key stands for a whole batch.
  const idempotencyKey = first.identity === "key" ? `key-${first.n}` : undefined;
  const body = isBatch ? `{"events":[${wishes.map(bodyOf).join(",")}]}` : bodyOf(first);
  const request = {
    method: "POST",
    path: isBatch ? `/v1/events/batch?tenant=${plan.tenant}` : `/v1/events?tenant=${plan.tenant}`,
    body,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  } as const;
  const isRepeatable = wishes.every(({ isOnce }) => isOnce);
  // Who has neither key nor id may ask again as well, and takes the risk of two events.
  const isInsisting = isRepeatable || chance.isTrue(0.5);
  const reply = isInsisting ? await client.insist(request) : await client.call(request);
  if (reply !== null) learn(actor, wishes, reply, isBatch, nowMs);
  // Some ask once more although they know, to see whether they are told the same.
  if (isRepeatable && reply !== null && chance.isTrue(0.2)) {
    const again = await client.insist(request);
    if (again !== null) learn(actor, wishes, again, isBatch, nowMs);
  }
}

function wishOf(event: EventPlan, tenant: string, nowMs: number, hasKey: boolean): Published {
  const dataText = `{"n":${event.n}, "priority":"${event.priority}", "pad":"${"x".repeat(event.pad)}", "big":1e400}`;
  return {
    ...event,
    tenant,
    dataText,
    deliverAtMs: event.deliverAfterMs === null ? null : nowMs + event.deliverAfterMs,
    ownId: event.identity === "id" ? `own-${event.n}` : null,
    isOnce: hasKey || event.identity === "id",
    issuedAtMs: nowMs,
    acceptances: [],
  };
}

function bodyOf({ type, priority, ownId, deliverAtMs, dataText }: Published): string {
  const id = ownId === null ? "" : `"id":"${ownId}",`;
  const deliverAt = deliverAtMs === null ? "" : `"deliver_at":"${new Date(deliverAtMs).toISOString()}",`;
  return `{"type":"${type}",${id}${deliverAt}"priority":"${priority}","data":${dataText}}`;
}

interface Told {
  readonly id?: string;
  readonly status?: number;
}

function learn(actor: Actor, wishes: readonly Published[], reply: Reply, isBatch: boolean, issuedAtMs: number): void {
  const { trace, clock, model } = actor;
  // Whoever does not ask again takes "try later" for an answer.
  if (reply.status === 503 || reply.status === 429) return;
  // The id is known from its event, and no longer what was published under it.
  if (reply.status === 409 && wishes.some(model.isForgotten)) return;
  if (reply.status !== (isBatch ? 200 : 202)) {
    trace.violation("honest answers", `event ${wishes[0]?.n} was refused: ${reply.status} ${reply.text}`);
    return;
  }
  const parsed = JSON.parse(reply.text) as Told & { data?: readonly Told[] };
  const told = isBatch ? (parsed.data ?? []) : [parsed];
  wishes.forEach((wish, index) => {
    const item = told[index];
    if (item?.status !== undefined && (item.status === 409 || item.status >= 429)) return;
    if (item?.id === undefined) return trace.violation("honest answers", `event ${wish.n} got no id: ${reply.text}`);
    wish.acceptances.push({ id: item.id, issuedAtMs, atMs: clock.now() });
    planCancel(actor, wish, item.id);
  });
}

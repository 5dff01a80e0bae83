/** Publishers that repeat until they are answered 202, and a receiver that counts: what the tests of SIGKILL share. */
import assert from "node:assert/strict";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";

export const PUBLISHERS = 32;
/** Without one arrival for this long, what is missing is lost: more than the longest claim and any retry used here. */
const PATIENCE_MS = 60_000;
const priorities = ["HIGH", "MEDIUM", "LOW"] as const;
const running = new AbortController().signal;

/** Who is published to. */
export interface Target {
  /** Of a gateway that should be up; asked before each try. */
  url(): string;
  /** Resolves when one may be up. */
  isUp(): Promise<void>;
  readonly key: string;
}

/** One event to publish until it is answered 202. How it is told from its repeats differs, as it does among callers. */
export interface Plan {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function planOf(index: number, type = `load.${index % 7}`): Plan {
  const event = { type, priority: priorities[index % 3], data: { index, text: "x".repeat(200) } };
  switch (Math.floor(index / 3) % 3) {
    case 0:
      return { body: JSON.stringify({ ...event, id: `own-${index}` }), headers: {} };
    case 1:
      return { body: JSON.stringify(event), headers: { "idempotency-key": `key-${index}` } };
    default:
      return { body: JSON.stringify(event), headers: {} };
  }
}

/** Counts deliveries by `webhook-id`; every answer is `status`. */
export async function openCounter(status = 200) {
  const timesById = new Map<string, number>();
  let arrivals = 0;
  const counter = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    timesById.set(id, (timesById.get(id) ?? 0) + 1);
    arrivals += 1;
    response.writeHead(status).end();
  });
  return { ...counter, timesById, arrivals: () => arrivals };
}

/** Repeats until 202; gives up for a while when the first try is still claimed by a process that is dead. */
async function publish(target: Target, plan: Plan): Promise<string | { readonly retryAfterMs: number }> {
  for (;;) {
    await target.isUp();
    const answer = await attempt(target, plan);
    if (answer === "broken") continue;
    if (answer.status === 202) return String(answer.body["id"]);
    assert.ok(answer.status === 409 || answer.status === 503, `${answer.status} ${JSON.stringify(answer.body)}`);
    if (answer.status === 409) assert.equal(answer.body["code"], "request-in-flight");
    return { retryAfterMs: answer.retryAfterMs };
  }
}

async function attempt(target: Target, { headers, body }: Plan) {
  try {
    const all = { ...headers, authorization: `Bearer ${target.key}`, "content-type": "application/json" };
    const response = await fetch(`${target.url()}/v1/events`, { method: "POST", headers: all, body });
    const parsed = (await response.json()) as Readonly<Record<string, unknown>>;
    return { status: response.status, body: parsed, retryAfterMs: Number(response.headers.get("retry-after")) * 1000 };
  } catch {
    return "broken" as const;
  }
}

/** Ids that were answered 202, in no order. `onAcknowledged` gets their count as it grows. */
export async function publishAll(
  target: Target,
  plans: Iterator<Plan> & Iterable<Plan>,
  onAcknowledged: (count: number, plan: Plan, id: string) => void,
): Promise<ReadonlySet<string>> {
  const acknowledged = new Set<string>();
  const put = (id: string, plan: Plan): void => {
    assert.ok(!acknowledged.has(id), `two events were given the id ${id}`);
    acknowledged.add(id);
    onAcknowledged(acknowledged.size, plan, id);
  };
  const waiting: Promise<void>[] = [];
  const later = async (plan: Plan, waitMs: number): Promise<void> => {
    await systemClock.sleep(waitMs, running);
    const result = await publish(target, plan);
    if (typeof result === "string") put(result, plan);
    else await later(plan, result.retryAfterMs);
  };
  const publisher = async (): Promise<void> => {
    for (const plan of plans) {
      const result = await publish(target, plan);
      // The others go on meanwhile: the claim of a dead process lasts some seconds.
      if (typeof result === "string") put(result, plan);
      else waiting.push(later(plan, result.retryAfterMs));
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
  await Promise.all(waiting);
  return acknowledged;
}

/** The acknowledged ids that never came, once nothing has come for a while. */
export async function untilDelivered(
  acknowledged: ReadonlySet<string>,
  counter: { timesById: ReadonlyMap<string, number>; arrivals: () => number },
  patienceMs = PATIENCE_MS,
): Promise<readonly string[]> {
  const missing = (): readonly string[] => [...acknowledged].filter((id) => !counter.timesById.has(id));
  let lost = missing();
  let last = { arrivals: counter.arrivals(), at: systemClock.monotonic() };
  while (lost.length > 0 && systemClock.monotonic() - last.at < patienceMs) {
    await systemClock.sleep(50, running);
    lost = missing();
    if (counter.arrivals() > last.arrivals) last = { arrivals: counter.arrivals(), at: systemClock.monotonic() };
  }
  return lost;
}

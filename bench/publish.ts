/** Publishing over the API as fast as it is taken, with delivery on, until all has arrived. */
import type { BenchSystem } from "./bench-system.ts";
import { cpuUsOf } from "./bench-system.ts";
import { postEvents } from "./load.ts";
import type { Subject } from "./subject-process.ts";

/** Of one batch that is published. */
const BATCH = 500;

export interface Published {
  readonly acceptRate: number;
  /** Events a second, from the first publish until all have arrived. */
  readonly drainRate: number;
  /** Of our processes together, an event. */
  readonly cpuUs: number;
}

/** For `seconds`, of events that have one delivery each; resolves when all that was accepted has arrived. */
export async function publishAtOnce(
  system: BenchSystem,
  sink: Subject,
  load: NonNullable<Parameters<typeof postEvents>[2]>,
  seconds: number,
): Promise<Published> {
  await sink.ask("reset");
  const before = cpuUsOf(system.usages());
  const startedAtMs = performance.timeOrigin + performance.now();
  const posted = await postEvents(Number(new URL(system.url).port), seconds, load);
  const { atMs } = await sink.ask(`wait ${posted.count}`);
  const cpuUs = (cpuUsOf(system.usages()) - before) / posted.count;
  return { acceptRate: posted.rate, drainRate: (posted.count * 1000) / (Number(atMs) - startedAtMs), cpuUs };
}

/** In batches, one after the other, as the operator. Throws when an event of them was refused. */
export async function publishInBatches(
  { post }: Pick<BenchSystem, "post">,
  count: number,
  eventOf: (index: number) => object,
): Promise<void> {
  for (let sent = 0; sent < count; sent += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, count - sent) }, (_, index) => eventOf(sent + index));
    const { data } = await post("/v1/events/batch", { events });
    const refused = (data as readonly { readonly status: number }[]).filter(({ status }) => status !== 202);
    if (refused.length > 0) throw new Error(`${refused.length} refused, the first as ${JSON.stringify(refused[0])}`);
  }
}

/** A key that may publish as fast as it can for `tenant`. */
export async function addLoadKey({ post }: Pick<BenchSystem, "post">, tenant: string): Promise<string> {
  const rateLimit = { limit: 100_000, window_ms: 1000 };
  const made = await post("/v1/api-keys", { name: "load", tenant, scopes: ["publish"], rate_limit: rateLimit });
  return String(made["key"]);
}

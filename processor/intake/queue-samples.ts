/** Depth and lag of every queue, read when metrics are collected and at no other time. */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Depth } from "@posthaste/shared/ports/lanes.ts";
import type { QueueSample, QueueTelemetry } from "@posthaste/shared/telemetry/queue.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";

export function observeQueues(drivers: Drivers, telemetry: QueueTelemetry, clock: Clock): void {
  telemetry.observe(async () => {
    const sample = (queue: QueueSample["queue"], { count, oldestAtMs }: Depth): QueueSample => ({
      queue,
      depth: count,
      lagMs: oldestAtMs === null ? null : Math.max(0, clock.now() - oldestAtMs),
    });
    const lanes = await Promise.all(LANES.map(async (lane) => sample(lane, await drivers.lanes.depth(lane))));
    const dead = await drivers.deadLetters.count({ tenant: null });
    return [
      ...lanes,
      sample("retry", await drivers.retryQueue.depth()),
      { queue: "dead", depth: dead, lagMs: null } as const,
      ...(await spoolSamples(drivers)),
    ];
  });
}

async function spoolSamples({ spool }: Drivers): Promise<readonly QueueSample[]> {
  if (spool === null) return [];
  const { count, oldestMs } = await spool.depth();
  return [{ queue: "spool", depth: count, lagMs: oldestMs }];
}

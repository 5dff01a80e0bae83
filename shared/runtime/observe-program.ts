/** What a program measures of itself and of its stores, beside what its parts tell as they work. */
import type { Clock } from "../lib/ambient.ts";
import type { Drivers } from "../ports/drivers.ts";
import { readQueues } from "../ports/queue-samples.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { takeEndpointCensus } from "./endpoint-census.ts";
import { measureEventLoopDelay } from "./event-loop-delay.ts";

/** A gateway shows the queues, too, so that they are seen while no processor runs; endpoints are counted by processors. */
export function observeProgram(parts: {
  readonly drivers: Drivers;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly countsEndpoints: boolean;
}): Disposable {
  const { drivers, telemetry, clock } = parts;
  const opened = new DisposableStack();
  telemetry.queue.observe(() => readQueues(drivers, clock));
  opened.use(measureEventLoopDelay(telemetry.process));
  if (parts.countsEndpoints) {
    const census = opened.use(takeEndpointCensus({ directory: drivers.directory, clock }));
    telemetry.endpoint.observe(census.latest);
  }
  return opened;
}

/** What the parts of the telemetry are made of. */
import type { Meter } from "@opentelemetry/api";
import type { Clock } from "../lib/ambient.ts";
import type { Log } from "./log.ts";

export interface TelemetryParts {
  readonly meter: Meter;
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonic">;
}

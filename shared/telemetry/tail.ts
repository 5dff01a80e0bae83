/** The live streams of `GET /v1/tail`. */
import type { Meter } from "@opentelemetry/api";

/** Why a stream ended: its caller left, did not read, had its key ended; or we were stopping. */
export type TailEnd = "left" | "slow-reader" | "key" | "stopping";

export interface TailTelemetry {
  opened(): void;
  ended(why: TailEnd): void;
  /** Entries that no reader of this process was shown. */
  lost(count: number): void;
}

export function createTailTelemetry({ meter }: { meter: Meter }): TailTelemetry {
  const readers = meter.createUpDownCounter("posthaste.tail.readers", {
    unit: "{reader}",
    description: "Readers of the live tail",
  });
  const ends = meter.createCounter("posthaste.tail.ended", {
    unit: "{reader}",
    description: "Streams of the live tail that ended",
  });
  const lost = meter.createCounter("posthaste.tail.lost", {
    unit: "{entry}",
    description: "What happened and was shown to no reader of the live tail",
  });
  return {
    opened: () => readers.add(1),
    ended(why) {
      readers.add(-1);
      ends.add(1, { why });
    },
    lost: (count) => lost.add(count),
  };
}

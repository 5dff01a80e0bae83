/** The partition log whose producers go by the spool while it is away. Reading is the log's own. */
import type { Clock } from "../../lib/ambient.ts";
import { createCircuitBreaker } from "../../lib/circuit-breaker.ts";
import type { PartitionLog } from "../../ports/partition-log.ts";
import type { Spool } from "../../ports/spool.ts";
import { RELAY_PRODUCER } from "../partitioned/delay-topics/delay-topics.ts";
import { LOG_BREAKER, createSpooledProducer } from "./spooled-producer.ts";

/** What a producer of this name writes lies in the log already and stays there until it was written. */
const UNSPOOLED: ReadonlySet<string> = new Set([RELAY_PRODUCER]);

/** Nobody tried it for so long: what was found before says nothing any more. */
const UNTRIED_MS = 5000;

export interface SpooledLog extends PartitionLog {
  /** As the log's own; also when it answers, and takes no records. */
  health(): Promise<string | null>;
}

export function withSpool(options: {
  readonly partitionLog: PartitionLog;
  readonly spool: Pick<Spool, "append">;
  /** As far as is known. */
  readonly isSpoolReachable: () => boolean;
  readonly clock: Pick<Clock, "monotonic" | "timer">;
  /** Told when the log begins to count as away. Must not throw. */
  readonly onAway: (error: unknown) => void;
}): SpooledLog {
  const { partitionLog, clock } = options;
  const breaker = createCircuitBreaker(LOG_BREAKER);
  const isSpooling = (): boolean => {
    const state = breaker.state();
    return state === "half-open" || (state === "open" && clock.monotonic() < breaker.probeAtMs() + UNTRIED_MS);
  };
  return {
    ...partitionLog,
    openProducer(name) {
      const producer = partitionLog.openProducer(name);
      return UNSPOOLED.has(name) ? producer : createSpooledProducer({ ...options, producer, breaker });
    },
    health: async () => (await partitionLog.health()) ?? (isSpooling() ? "Kafka takes no records." : null),
  };
}

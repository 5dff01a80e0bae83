/** The alerts of one process, put together. */
import type { AlertRules } from "@posthaste/shared/domain/alert-rules.ts";
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { createAnnounce } from "../announce.ts";
import { createMeasures } from "./measures.ts";
import { watchAlerts } from "./watch.ts";

/** Disposed, it looks no more and waits for nothing; what it had not sent is sent by others, or after the next start. */
export function startAlerts(options: {
  readonly drivers: Drivers;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly telemetry: Telemetry;
  readonly rules: AlertRules;
  readonly loopFailures: () => number;
}): Disposable {
  const { drivers, telemetry } = options;
  const stopping = new AbortController();
  const onFailure = (what: string, error: unknown, waitMs: number): void =>
    telemetry.queue.loopFailed(what, error, waitMs);
  const { directory, lanes, ledger, alertBoard: board } = drivers;
  const announce = createAnnounce({ ...options, directory, lanes, ledger, signal: stopping.signal, onFailure });
  const readMeasures = createMeasures(options);
  const watch = watchAlerts({ ...options, board, readMeasures, announce, onFailure });
  return {
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
      stopping.abort();
    },
  };
}

/** Receivers of the month: a path says how they behave. Nothing of what was sent is kept. */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { DeliveryRequest, Transport } from "@posthaste/shared/ports/transport.ts";
import type { Chance } from "../simulation/chance.ts";

const WAY_MS = 20;

export interface MonthNetwork {
  transportOf(clock: Clock): Transport;
  attempts(): number;
}

export function createMonthNetwork(chance: Chance): MonthNetwork {
  let attempts = 0;

  function resultOf(request: DeliveryRequest): AttemptResult {
    const answered = (status: number, retryAfter: string | null = null): AttemptResult => ({
      kind: "answered",
      status,
      retryAfter,
      bodyExcerpt: "",
      isBodyCut: false,
      durationMs: WAY_MS,
    });
    switch (new URL(request.url).pathname) {
      case "/half":
        return answered(chance.isTrue(0.5) ? 500 : 200);
      case "/fail":
        return answered(500);
      case "/gone":
        return answered(410);
      case "/later":
        return chance.isTrue(0.2) ? answered(429, "30") : answered(200);
      case "/hang":
        return { kind: "fault", fault: "timeout", detail: "no answer", durationMs: request.timeoutMs };
      default:
        return answered(200);
    }
  }

  return {
    attempts: () => attempts,
    transportOf: (clock) => ({
      send(request, signal) {
        attempts++;
        const result = resultOf(request);
        return new Promise((resolve) => {
          const end = (heard: AttemptResult): void => {
            cancel();
            signal.removeEventListener("abort", abort);
            resolve(heard);
          };
          const abort = (): void => end({ kind: "fault", fault: "aborted", detail: "stopped", durationMs: 0 });
          const cancel = clock.timer(result.kind === "fault" ? request.timeoutMs : WAY_MS, () => end(result));
          signal.addEventListener("abort", abort, { once: true });
        });
      },
      vet: () => Promise.resolve({ kind: "allowed" }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  };
}

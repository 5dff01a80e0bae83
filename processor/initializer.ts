/**
 * Sets a processor up: notifications, the consumers of each priority, the retry mechanism, the record of dead letters.
 * Steps run in order, each repeated with a growing wait until it succeeds; every failure is logged. Not ready until all run.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { StartStep } from "@posthaste/shared/ports/drivers.ts";
import type { Retried } from "@posthaste/shared/lib/retry.ts";
import { onAbort } from "@posthaste/shared/lib/on-abort.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { retry } from "@posthaste/shared/lib/retry.ts";

export interface Initializer {
  /** Resolves when every step has succeeded, or when `signal` was aborted; never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** Null when everything runs; else one sentence that names the step at hand and why it failed last. */
  missing(): string | null;
}

export const STEP_WAIT_MS = 500;
export const STEP_WAIT_MS_MAX = 15_000;

export function createInitializer(deps: {
  readonly steps: readonly StartStep[];
  readonly clock: Clock;
  readonly entropy: Entropy;
  onFailure(step: string, error: unknown, waitMs: number): void;
}): Initializer {
  const { steps, clock, entropy } = deps;
  let done = 0;
  let reason: string | null = null;

  const runStep = (step: StartStep, signal: AbortSignal): Promise<Retried<void>> => {
    const onFailure = (error: unknown, waitMs: number): void => {
      if (isAborted(signal)) return;
      reason = error instanceof PosthasteError ? error.message : "the log says why (loop.failed).";
      deps.onFailure(step.name, error, waitMs);
    };
    const backoff = { firstMs: STEP_WAIT_MS, maxMs: STEP_WAIT_MS_MAX };
    return retry(() => unlessAborted(step.run(signal), signal), { clock, entropy, signal, ...backoff, onFailure });
  };

  return {
    async run(signal) {
      for (const step of steps.slice(done)) {
        if ((await runStep(step, signal)).kind === "aborted") return;
        done += 1;
        reason = null;
      }
    },
    missing() {
      const step = steps[done];
      if (step === undefined) return null;
      return reason === null ? `${step.name} is being set up.` : `${step.name} could not be set up yet: ${reason}`;
    },
  };
}

/** Rejects when `signal` is aborted before: a step that a store keeps waiting must not keep a stop. */
function unlessAborted(step: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = onAbort(signal, () => reject(new PosthasteError("stopping", "The set-up was stopped.")));
    step.then(resolve, reject).finally(cancel);
  });
}

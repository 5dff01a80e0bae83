/**
 * How late the event loop is, looked at four times a second by a timer of our own: the histogram of node:perf_hooks begins anew
 * for each reader, and ours are cumulative. A delay shorter than the span between two looks is seen by chance, in proportion.
 */
import type { ProcessTelemetry } from "../telemetry/process.ts";

const LOOK_MS = 250;

/** Keeps no process alive. */
export function measureEventLoopDelay(telemetry: ProcessTelemetry): Disposable {
  let expectedMs = performance.now() + LOOK_MS;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    telemetry.delayed(Math.max(0, nowMs - expectedMs));
    expectedMs = nowMs + LOOK_MS;
  }, LOOK_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

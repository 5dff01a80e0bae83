/** Work that is not waited for longer than a bound. To be late is an expected result, and so a value. */
import type { Clock } from "./ambient.ts";

export type InTime<Value> = { readonly kind: "done"; readonly value: Value } | { readonly kind: "timeout" };

/**
 * What `work` resolves to, or `timeout` after `ms`; rejects as the work does in that time. Late work is not ended: it
 * goes on unobserved, and what it rejects with is dropped. The timer ends with the work, so it keeps no process alive.
 */
export function inTime<Value>(clock: Pick<Clock, "timer">, ms: number, work: Promise<Value>): Promise<InTime<Value>> {
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(ms, () => resolve({ kind: "timeout" }));
    work.then((value) => resolve({ kind: "done", value }), reject).finally(cancel);
  });
}

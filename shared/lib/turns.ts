/** Work of which only some runs at once; the rest waits, tenants in turn. Who waits is bounded by the caller. */
import { FifoRow, FlowRows, admitsAll } from "./flow-rows.ts";

interface Waiting {
  readonly begin: () => void;
}

export interface Turns {
  /** Resolves or rejects as `work` does. */
  run<Result>(tenant: string, work: () => Promise<Result>): Promise<Result>;
}

/** `atOnceMax` is asked at each beginning and end; at least 1. */
export function createTurns(atOnceMax: () => number): Turns {
  const rows = new FlowRows<Waiting, FifoRow<Waiting>>();
  let running = 0;

  function wait(tenant: string): Promise<void> {
    return new Promise((begin) => {
      let row = rows.find(tenant, 0);
      if (row === undefined) {
        row = new FifoRow();
        rows.add(tenant, 0, row);
      }
      row.push({ begin });
    });
  }

  function end(): void {
    running -= 1;
    const next: Waiting[] = [];
    rows.moveTo(next, Math.max(0, atOnceMax() - running), admitsAll);
    running += next.length;
    for (const { begin } of next) begin();
  }

  return {
    async run(tenant, work) {
      if (running >= atOnceMax()) await wait(tenant);
      else running += 1;
      try {
        return await work();
      } finally {
        end();
      }
    },
  };
}

/** The records of a partition that may be handed out, by tenant and flow in turn. */
import type { Envelope } from "../../../domain/envelope.ts";
import { flowOf } from "../../../domain/flow.ts";
import { Fifo } from "../../../lib/fifo.ts";
import type { Admits, FlowRow } from "../../../lib/flow-rows.ts";
import { FlowRows } from "../../../lib/flow-rows.ts";
import type { OffsetWindow } from "../window/offset-window.ts";

export interface Held {
  /** Null for poison. */
  readonly envelope: Envelope | null;
  readonly atMs: number;
  /** Handed out and neither acked nor handed back. */
  isOut: boolean;
}

export interface Ready {
  readonly offset: number;
  readonly envelope: Envelope;
  /** It was handed back: some of its deliveries may have been made. */
  readonly wasOut: boolean;
}

/** What may be handed out, by tenant and flow; as many offsets as the window holds records. */
export function createReadyQueue(window: OffsetWindow<Held>) {
  const rows = new FlowRows<Ready, ReadyRow>();

  function rowOf({ tenant, type }: Envelope): ReadyRow {
    const flow = flowOf(type);
    const known = rows.find(tenant, flow);
    if (known !== undefined) return known;
    const row = new ReadyRow(window);
    rows.add(tenant, flow, row);
    return row;
  }

  return {
    put: (offset: number, envelope: Envelope) => rowOf(envelope).put({ offset, envelope, wasOut: false }),
    putBack(offset: number): void {
      const held = window.find(offset);
      if (held?.isOut !== true || held.envelope === null) return;
      held.isOut = false;
      window.release(offset);
      rowOf(held.envelope).putBack({ offset, envelope: held.envelope, wasOut: true });
    },
    takeSurplus(max: number): readonly Ready[] {
      const taken: Ready[] = [];
      rows.moveSurplusTo(taken, max);
      return taken;
    },
    take(max: number, admits: Admits): readonly Ready[] {
      const taken: Ready[] = [];
      rows.moveTo(taken, max, admits);
      return taken;
    },
  };
}

/** One flow, in order; what was handed back first. */
class ReadyRow implements FlowRow<Ready> {
  readonly #window: OffsetWindow<Held>;
  readonly #fresh = new Fifo<Ready>();
  readonly #returned = new Fifo<Ready>();

  constructor(window: OffsetWindow<Held>) {
    this.#window = window;
  }

  put(ready: Ready): void {
    this.#fresh.push(ready);
  }

  putBack(ready: Ready): void {
    this.#returned.push(ready);
  }

  size(): number {
    return this.#returned.length + this.#fresh.length;
  }

  isEmpty(): boolean {
    return this.#returned.length === 0 && this.#fresh.length === 0;
  }

  next(): Ready | undefined {
    for (let ready = this.#shift(); ready !== undefined; ready = this.#shift()) {
      const held = this.#window.find(ready.offset);
      // Acked since: it was offloaded after it was handed back, or set aside.
      if (held === undefined || held.isOut) continue;
      held.isOut = true;
      return ready;
    }
    return undefined;
  }

  #shift(): Ready | undefined {
    return this.#returned.shift() ?? this.#fresh.shift();
  }
}

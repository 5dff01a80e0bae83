/** What a scenario is made of: load, and faults of a store, of a program or of the receiver, each from a time on and for so long. */
import type { Book, ByPriority } from "./book.ts";
import type { Fleet } from "./fleet.ts";
import type { FaultReceiver } from "./receiver.ts";
import type { Layout, Stores } from "./stores.ts";

/** Where a fault takes place. */
export interface Stage {
  readonly stores: Stores;
  readonly fleet: Fleet;
  readonly receiver: FaultReceiver;
  /** A fault that makes a store lose something notes here what the store held, as gone. */
  readonly book: Book;
  /** A broken promise that no count shows. */
  complain(text: string): void;
}

/** Resolves once it holds, with what ends it; that resolves once the service is there again. */
export type Fault = (stage: Stage) => Promise<Undo>;
export type Undo = () => Promise<void>;

/** Times from the start of the first fault. */
export interface Step {
  readonly fault: Fault;
  readonly atMs?: number;
  readonly forMs: number;
}

export interface Scenario {
  /** As `--only` takes it. */
  readonly name: string;
  readonly layout: Layout;
  readonly steps: readonly Step[];
  readonly ratePerS?: number;
  /** Events have ids and keys of their own in part, so that a further try is a repeat. */
  readonly isNamed?: boolean;
  readonly tries?: number;
  /** Of the key that publishes, in a second. */
  readonly limitPerS?: number;
  /** Settings of the programs beside the usual ones: they get processes of their own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Share of what is sent of each priority that may be refused; none unless given. */
  readonly refusedMax?: ByPriority;
  /** The stores or the programs are no good to others afterwards. */
  readonly isHarmful?: boolean;
  /** Several faults at once: the bound on recovery is for a single one. */
  readonly recoveryMsMax?: number;
}

/** The promise for a single fault. */
export const RECOVERY_MS_MAX = 20_000;
export const ALL: ByPriority = { HIGH: 1, MEDIUM: 1, LOW: 1 };
export const NONE: ByPriority = { HIGH: 0, MEDIUM: 0, LOW: 0 };

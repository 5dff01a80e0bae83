/** What one check has cost so far, and the faults that it has found. */
import type { SchemaFault } from "./schema.ts";
import { isObject } from "./keywords.ts";
import { canonicalText } from "./values.ts";

/** A tenth of a second or two at worst: no step takes much more than a microsecond, whatever the schema and the data. */
export const CHECK_STEPS_MAX = 200_000;
/** Most faults of one answer. */
export const DATA_FAULTS_MAX = 20;
/** Characters compared, and moves of a pattern, that count as one step. */
const CHEAP_PER_STEP = 16;
/** Names and entries gone over that count as one step. */
const LOOKS_PER_STEP = 4;

/** Where a value stands, innermost first; null is the whole. */
export interface Place {
  readonly parent: Place | null;
  readonly step: string | number;
}

/** The bound is reached. */
export class TooMuch extends Error {
  constructor() {
    super(
      `takes more than ${CHECK_STEPS_MAX} steps to hold against the schema of its type; send less at once, or simplify the schema`,
    );
  }
}

export class Tally {
  readonly faults: SchemaFault[] = [];
  /** The canonical texts of each `enum` that was met. */
  readonly #choices = new Map<readonly unknown[], ReadonlySet<string>>();
  #steps = 0;
  /** Above 0 faults are not told: what does not fit is one of several ways. */
  #quiet = 0;

  /** Throws `TooMuch`. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > CHECK_STEPS_MAX) throw new TooMuch();
  }

  readonly spendCheap = (count: number): void => this.spend(count / CHEAP_PER_STEP);

  spendLooks(count: number): void {
    this.spend(count / LOOKS_PER_STEP);
  }

  entriesOf(given: unknown): readonly [string, unknown][] {
    const entries = isObject(given) ? Object.entries(given) : [];
    this.spendLooks(entries.length);
    return entries;
  }

  canonical(value: unknown): string {
    const text = canonicalText(value);
    this.spendCheap(text.length);
    return text;
  }

  isAmong(choices: readonly unknown[], value: unknown): boolean {
    let texts = this.#choices.get(choices);
    if (texts === undefined) {
      texts = new Set(choices.map((choice) => this.canonical(choice)));
      this.#choices.set(choices, texts);
    }
    return texts.has(this.canonical(value));
  }

  /** The first fault is enough where none is told, and so are as many as are told. */
  isEnough(): boolean {
    return this.#quiet > 0 || this.faults.length >= DATA_FAULTS_MAX;
  }

  fault(place: Place | null, detail: string): false {
    if (this.isEnough()) return false;
    const path: (string | number)[] = [];
    for (let at = place; at !== null; at = at.parent) path.unshift(at.step);
    this.faults.push({ path, detail });
    return false;
  }

  quietly<Result>(work: () => Result): Result {
    this.#quiet++;
    const result = work();
    this.#quiet--;
    return result;
  }
}

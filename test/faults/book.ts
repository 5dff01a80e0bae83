/**
 * What is known of each event of one scenario: accepted, delivered, dead, waiting for a planned retry. Times are arguments,
 * in ms of one monotonic clock. A delivery may be heard of before its 202.
 */
export const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;
export type Priority = (typeof PRIORITIES)[number];
export type ByPriority = Readonly<Record<Priority, number>>;

/** How an event that has not been delivered stands: by the word of the API, or `gone` with what a store itself lost. */
export type Standing = "dead" | "planned" | "gone";

export interface Accepted {
  readonly priority: Priority;
  readonly atMs: number;
}

export interface Wait {
  /** Empty when nothing waited. */
  readonly id: string;
  readonly priority: Priority;
  readonly acceptedAtMs: number;
  readonly waitedMs: number;
}

export interface Sums {
  readonly accepted: number;
  readonly delivered: number;
  readonly dead: number;
  readonly planned: number;
  readonly gone: number;
  /** Accepted, and none of the four. */
  readonly missing: readonly string[];
  /** Deliveries beyond the first of each event. */
  readonly duplicates: number;
  /** Events that came and were never answered 202: a 503 leaves open whether it was taken. */
  readonly unasked: number;
}

export class Book {
  readonly acceptedById = new Map<string, Accepted>();
  readonly #timesById = new Map<string, number>();
  readonly #settledAtById = new Map<string, number>();
  readonly #standings = new Map<string, Standing>();
  /** What stores have lost, by the ids that they held. */
  readonly #losses: ((id: string) => boolean)[] = [];
  readonly #stalls: Readonly<Record<Priority, Stall>> = { HIGH: new Stall(), MEDIUM: new Stall(), LOW: new Stall() };
  readonly #stall = new Stall();
  #lastArrivalMs = 0;

  accept(id: string, priority: Priority, atMs: number): void {
    this.acceptedById.set(id, { priority, atMs });
    if (this.#timesById.has(id)) return;
    if (this.#losses.some((isLost) => isLost(id))) {
      this.#standings.set(id, "gone");
      return;
    }
    this.#stall.owe(atMs);
    this.#stalls[priority].owe(atMs);
  }

  arrive(id: string, atMs: number): void {
    const times = this.#timesById.get(id) ?? 0;
    this.#timesById.set(id, times + 1);
    this.#lastArrivalMs = atMs;
    if (times > 0) return;
    this.#settledAtById.set(id, atMs);
    const accepted = this.acceptedById.get(id);
    if (accepted === undefined) return;
    const isOwed = !this.#standings.has(id);
    for (const stall of [this.#stall, this.#stalls[accepted.priority]]) {
      if (isOwed) stall.pay(atMs);
      else stall.look(atMs);
    }
  }

  /** Nothing is owed of it for now. It may still arrive, and then counts as delivered. */
  stand(id: string, standing: Standing, atMs: number): void {
    const accepted = this.acceptedById.get(id);
    if (accepted === undefined || this.#timesById.has(id)) return;
    if (!this.#standings.has(id)) {
      this.#stall.pay(atMs);
      this.#stalls[accepted.priority].pay(atMs);
      if (standing !== "gone") this.#settledAtById.set(id, atMs);
    }
    this.#standings.set(id, standing);
  }

  /** A store has lost these events. Their 202 may be read after that: it was answered before. */
  lose(isLost: (id: string) => boolean, atMs: number): void {
    this.#losses.push(isLost);
    for (const id of this.acceptedById.keys()) if (isLost(id)) this.stand(id, "gone", atMs);
  }

  /** Accepted and not delivered, though it should be in the end. */
  open(): readonly string[] {
    return [...this.acceptedById.keys()].filter((id) => {
      const standing = this.#standings.get(id);
      return !this.#timesById.has(id) && standing !== "dead" && standing !== "gone";
    });
  }

  missing(): readonly string[] {
    return this.open().filter((id) => !this.#standings.has(id));
  }

  deliveredIds(): readonly string[] {
    return [...this.acceptedById.keys()].filter((id) => this.#timesById.has(id));
  }

  get lastArrivalMs(): number {
    return this.#lastArrivalMs;
  }

  sums(): Sums {
    const arrived = [...this.#timesById.keys()];
    const standing = (wanted: Standing): number =>
      [...this.#standings].filter(([id, found]) => found === wanted && !this.#timesById.has(id)).length;
    const arrivals = [...this.#timesById.values()].reduce((sum, times) => sum + times, 0);
    return {
      accepted: this.acceptedById.size,
      delivered: this.deliveredIds().length,
      dead: standing("dead"),
      planned: standing("planned"),
      gone: standing("gone"),
      missing: this.missing(),
      duplicates: arrivals - arrived.length,
      unasked: arrived.filter((id) => !this.acceptedById.has(id)).length,
    };
  }

  /** The longest time without a delivery while one was owed, up to now. */
  stalls(nowMs: number): { readonly all: number; readonly high: number } {
    return { all: this.#stall.longest(nowMs), high: this.#stalls.HIGH.longest(nowMs) };
  }

  /**
   * Who waited longest to be settled of what was accepted before the fault's end, counted from that end, or after it, counted
   * from its acceptance. Without what is gone; null when something never was settled.
   */
  longestWait(accepted: "before" | "after", faultEndMs: number): Wait | null {
    let longest: Wait = { id: "", priority: "HIGH", acceptedAtMs: faultEndMs, waitedMs: 0 };
    for (const [id, { priority, atMs }] of this.acceptedById) {
      if (atMs <= faultEndMs !== (accepted === "before") || this.#standings.get(id) === "gone") continue;
      const settledAtMs = this.#settledAtById.get(id);
      if (settledAtMs === undefined) return null;
      const waitedMs = settledAtMs - Math.max(atMs, faultEndMs);
      if (waitedMs > longest.waitedMs) longest = { id, priority, acceptedAtMs: atMs, waitedMs };
    }
    return longest;
  }
}

/** Time without a delivery counts from the last one, or from when the first of those that are owed was accepted. */
class Stall {
  #owed = 0;
  #sinceMs = 0;
  #longestMs = 0;

  owe(atMs: number): void {
    if (this.#owed === 0) this.#sinceMs = atMs;
    this.#owed += 1;
  }

  pay(atMs: number): void {
    this.look(atMs);
    this.#owed -= 1;
  }

  look(atMs: number): void {
    this.#longestMs = this.longest(atMs);
    this.#sinceMs = atMs;
  }

  longest(atMs: number): number {
    return this.#owed === 0 ? this.#longestMs : Math.max(this.#longestMs, atMs - this.#sinceMs);
  }
}

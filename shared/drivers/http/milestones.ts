/**
 * The milestones of an attempt, for requests that ask for them. A connection keeps when it was made, for it is opened for
 * an origin and goes to whichever request is first by then; only its first request tells of it.
 */
import type { Milestone } from "../../domain/attempt.ts";
import type { Clock } from "../../lib/ambient.ts";

/** When the stages of a new connection ended; ms of `Clock.monotonic`, null for one that was not reached or not needed. */
export interface ConnectionTimes {
  lookedUpAtMs: number | null;
  connectedAtMs: number | null;
  securedAtMs: number | null;
}

export function noTimes(): ConnectionTimes {
  return { lookedUpAtMs: null, connectedAtMs: null, securedAtMs: null };
}

/** Fills the array of one request; each milestone once at most. */
export class MilestoneRecord {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #startedAtMs: number;
  readonly #milestones: Milestone[];

  /** `startedAtMs` of `Clock.monotonic`. */
  constructor(clock: Pick<Clock, "monotonic">, startedAtMs: number, milestones: Milestone[]) {
    this.#clock = clock;
    this.#startedAtMs = startedAtMs;
    this.#milestones = milestones;
  }

  reached(name: Milestone["name"]): void {
    this.#add(name, this.#clock.monotonic());
  }

  /** Of the new connection that the request was given, or that failed in its place. */
  opened({ lookedUpAtMs, connectedAtMs, securedAtMs }: ConnectionTimes): void {
    this.#add("dns", lookedUpAtMs);
    this.#add("connect", connectedAtMs);
    this.#add("tls", securedAtMs);
  }

  /** What a connection had behind it before the request came is no part of the attempt. */
  #add(name: Milestone["name"], atMs: number | null): void {
    if (atMs === null || atMs < this.#startedAtMs) return;
    if (this.#milestones.some((each) => each.name === name)) return;
    this.#milestones.push({ name, sinceStartMs: atMs - this.#startedAtMs });
  }
}

/** When what trouble was in force in a world: deaths, stops, a disk that fails. Promises with a time are held against it. */

export interface ProcessEnd {
  readonly kind: "crash" | "stop";
  readonly atMs: number;
}

export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface History {
  readonly ends: ProcessEnd[];
  /** From the beginning of a stop, or a death, until the next process is up. */
  readonly downs: Interval[];
  readonly diskTroubles: readonly Interval[];
  /** When a process could not read its directory. */
  readonly blinks: Interval[];
  /** The last deferral of a delivery, by `endpoint event`. */
  readonly deferrals: Map<string, { readonly atMs: number; readonly processIndex: number }>;
  /** When a process parked or held back a delivery, by `endpoint event`. */
  readonly movedAtMs: Map<string, number[]>;
}

export function createHistory(diskTroubles: readonly Interval[]): History {
  return { ends: [], downs: [], diskTroubles, blinks: [], movedAtMs: new Map(), deferrals: new Map() };
}

export function crashesSince({ ends }: History, atMs: number): readonly ProcessEnd[] {
  return ends.filter((end) => end.kind === "crash" && end.atMs >= atMs);
}

export function hadDiskTrouble({ diskTroubles }: History, fromMs: number, toMs: number): boolean {
  return diskTroubles.some((trouble) => trouble.fromMs <= toMs && trouble.toMs >= fromMs);
}

/** No process was dying, down or short of a disk in that time. */
export function wasQuiet(history: History, fromMs: number, toMs: number): boolean {
  const isBad = ({ fromMs: from, toMs: to }: Interval): boolean => from <= toMs && to >= fromMs;
  return !history.downs.some(isBad) && !hadDiskTrouble(history, fromMs, toMs);
}

export function noteMoved(
  { movedAtMs }: Pick<History, "movedAtMs">,
  endpointId: string,
  eventId: string,
  atMs: number,
): void {
  const name = `${endpointId} ${eventId}`;
  movedAtMs.set(name, [...(movedAtMs.get(name) ?? []), atMs]);
}

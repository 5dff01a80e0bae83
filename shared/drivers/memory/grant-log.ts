/**
 * What one subject was granted, as a ring that grows with use and not with the limit. A grant at `t` counts in the windows
 * that contain `t`. Grants of one grain, a millisecond or a thousandth of the window, share an entry with the latest time.
 */

export interface GrantLog {
  /** Forgets the grants at or before `atMs`. */
  expire(atMs: number): void;
  /** Units that count. */
  used(): number;
  /** Times of one grain share an entry, which has the latest of them. */
  add(atMs: number, units: number, grain: number): void;
  /** Takes units back that were added at `atMs`, as many as still count. */
  remove(atMs: number, units: number): void;
  /** When the unit number `count` (from 1, oldest first) was granted; null when there are fewer. */
  timeOfUnit(count: number): number | null;
  /** Of the latest grant; null when there is none. */
  latest(): number | null;
  /** How many there are; of one window at most twice `GRAINS`. */
  entries(): number;
}

const RING_LENGTH_MIN = 8;

export function createGrantLog(): GrantLog {
  let times = new Float64Array(RING_LENGTH_MIN);
  let units = new Float64Array(RING_LENGTH_MIN);
  let head = 0;
  let count = 0;
  let used = 0;

  /** Copies the entries in order into rings of another length, a power of two. */
  function resize(length: number): void {
    const [oldTimes, oldUnits] = [times, units];
    times = new Float64Array(length);
    units = new Float64Array(length);
    for (let index = 0; index < count; index++) {
      const from = (head + index) & (oldTimes.length - 1);
      times[index] = oldTimes[from] ?? 0;
      units[index] = oldUnits[from] ?? 0;
    }
    head = 0;
  }

  return {
    expire(atMs) {
      while (count > 0 && (times[head] ?? 0) <= atMs) {
        used -= units[head] ?? 0;
        head = (head + 1) & (times.length - 1);
        count--;
      }
      if (times.length > RING_LENGTH_MIN && count * 4 <= times.length) resize(times.length / 2);
    },
    used: () => used,
    add(atMs, added, grain) {
      used += added;
      const last = (head + count - 1) & (times.length - 1);
      if (count > 0 && Math.floor((times[last] ?? 0) / grain) === Math.floor(atMs / grain)) {
        times[last] = atMs;
        units[last] = (units[last] ?? 0) + added;
        return;
      }
      if (count === times.length) resize(times.length * 2);
      const next = (head + count) & (times.length - 1);
      times[next] = atMs;
      units[next] = added;
      count++;
    },
    remove(atMs, removed) {
      for (let index = 0; index < count; index++) {
        const at = (head + index) & (times.length - 1);
        // The first that is not before: an entry has the latest time of its grain.
        if ((times[at] ?? 0) < atMs) continue;
        const given = Math.min(removed, units[at] ?? 0);
        units[at] = (units[at] ?? 0) - given;
        used -= given;
        break;
      }
      // The latest entry stays only as long as it has units, so that `latest` is a grant.
      while (count > 0 && units[(head + count - 1) & (times.length - 1)] === 0) count--;
    },
    latest: () => (count === 0 ? null : (times[(head + count - 1) & (times.length - 1)] ?? null)),
    timeOfUnit(wanted) {
      let seen = 0;
      for (let index = 0; index < count; index++) {
        const at = (head + index) & (times.length - 1);
        seen += units[at] ?? 0;
        if (seen >= wanted) return times[at] ?? null;
      }
      return null;
    },
    entries: () => count,
  };
}

/** A sorted set as Redis has it: members by score, and by their bytes where scores are equal. */
import { assert } from "@posthaste/shared/lib/assert.ts";

export interface Row {
  readonly member: string;
  readonly score: number;
}

export interface SortedSet {
  readonly kind: "sorted set";
  /** In order. */
  rows(): readonly Row[];
  score(member: string): number | null;
  /** True when it is new. */
  set(member: string, score: number): boolean;
  delete(member: string): boolean;
}

export function createSortedSet(): SortedSet {
  const scores = new Map<string, number>();
  const rows: Row[] = [];

  function placeOf(row: Row): number {
    let low = 0;
    for (let high = rows.length; low < high;) {
      const middle = (low + high) >> 1;
      const other = rows[middle];
      assert(other !== undefined, "the middle lies within");
      if (other.score < row.score || (other.score === row.score && other.member < row.member)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function remove(member: string): boolean {
    const score = scores.get(member);
    if (score === undefined) return false;
    scores.delete(member);
    rows.splice(placeOf({ member, score }), 1);
    return true;
  }

  return {
    kind: "sorted set",
    rows: () => rows,
    score: (member) => scores.get(member) ?? null,
    set(member, score) {
      const isNew = !remove(member);
      scores.set(member, score);
      rows.splice(placeOf({ member, score }), 0, { member, score });
      return isNew;
    },
    delete: remove,
  };
}

/** A long list as parts, each an operation of its own: between two of them the writer may commit and let others go first. */

/** Rows of one part: about half a millisecond of writing. */
export const PART_ROWS = 32;

export function inParts<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  if (items.length <= PART_ROWS) return items.length === 0 ? [] : [items];
  return Array.from({ length: Math.ceil(items.length / PART_ROWS) }, (_, part) =>
    items.slice(part * PART_ROWS, (part + 1) * PART_ROWS),
  );
}

/**
 * What waits for a batch (`batcher.ts`): urgent items by whose they are, and others, each in their order. A batch has urgent ones and
 * others by turns, and of the urgent ones those of each by turns. It has no bound of its own.
 */

export interface Waiting<Item, Result> {
  readonly item: Item;
  readonly bytes: number;
  readonly resolve: (value: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** One batch has so many items and bytes at most; an item that is larger by itself is one of its own. */
export function createBatchQueue<Item, Result>(itemsMax: number, bytesMax: number) {
  const urgent = createRowsInTurn<Waiting<Item, Result>>();
  const others = createRow<Waiting<Item, Result>>();
  /** Where each item of the last batch came from. */
  let origins: (typeof others)[] = [];
  let count = 0;

  /** The row whose turn it is. */
  const nextRow = (): typeof others => {
    const isOthersTurn = others.length() > 0 && origins.length > 0 && origins.at(-1) !== others;
    return (isOthersTurn ? null : urgent.next()) ?? others;
  };

  return {
    push(entry: Waiting<Item, Result>, urgentFor: string | undefined): void {
      (urgentFor === undefined ? others : urgent.of(urgentFor)).push(entry);
      count += 1;
    },
    length: () => count,
    nextBatch(): readonly Waiting<Item, Result>[] {
      const batch: Waiting<Item, Result>[] = [];
      let bytes = 0;
      origins = [];
      while (batch.length < itemsMax) {
        const row = nextRow();
        const entry = row.first();
        if (entry === undefined) break;
        if (batch.length > 0 && bytes + entry.bytes > bytesMax) {
          urgent.giveBack([row]);
          break;
        }
        row.take();
        origins.push(row);
        batch.push(entry);
        bytes += entry.bytes;
      }
      count -= batch.length;
      return batch;
    },
    /** The last batch came to its first `done` items; the others wait on, before those that came since. */
    giveBack(done: number): void {
      const back = origins.slice(done);
      for (const row of back) row.giveBack();
      urgent.giveBack(back);
      count += back.length;
    },
    /** Of what is done nothing is kept. */
    letGo(): void {
      urgent.letGo();
      others.letGo();
    },
  };
}

/** A row for each of those who have some waiting; a row stays until `letGo`, since what was taken may be given back. */
function createRowsInTurn<Entry>() {
  type Row = ReturnType<typeof createRow<Entry>>;
  const rows = new Map<string, Row>();
  /** Whose turn it is, first. */
  let line = new Set<Row>();
  return {
    of(whose: string): Row {
      let row = rows.get(whose);
      if (row !== undefined) return row;
      row = createRow<Entry>();
      rows.set(whose, row);
      line.add(row);
      return row;
    },
    /** Null when nothing waits. */
    next(): Row | null {
      let left = line.size;
      for (const row of line) {
        if (left === 0) break;
        left -= 1;
        // To the end of the line, also who has none any more.
        line.delete(row);
        line.add(row);
        if (row.length() > 0) return row;
      }
      return null;
    },
    /** The turns of these did not come, in this order: they are the next. */
    giveBack(turns: readonly Row[]): void {
      line = new Set([...turns.filter((row) => line.has(row)), ...line]);
    },
    letGo(): void {
      for (const [whose, row] of rows) {
        row.letGo();
        if (row.length() > 0) continue;
        rows.delete(whose);
        line.delete(row);
      }
    },
  };
}

/** Added to at its end and taken from at its beginning, without a move of the rest each time. */
function createRow<Entry>() {
  let entries: Entry[] = [];
  let first = 0;
  return {
    length: () => entries.length - first,
    first: () => entries[first],
    take: () => void first++,
    /** The last that was taken. */
    giveBack: () => void first--,
    push: (entry: Entry) => void entries.push(entry),
    letGo(): void {
      // Once half of all was taken: each entry is moved once on the average.
      if (first * 2 < entries.length) return;
      entries = entries.slice(first);
      first = 0;
    },
  };
}

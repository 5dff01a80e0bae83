/** A binary heap: what comes first by `compare` is popped first. Push and pop take logarithmic time. */

export interface Heap<Item> {
  push(item: Item): void;
  peek(): Item | undefined;
  pop(): Item | undefined;
  /** Drops what `keep` refuses; linear. */
  retain(keep: (item: Item) => boolean): void;
  size(): number;
}

export function createHeap<Item>(compare: (left: Item, right: Item) => number): Heap<Item> {
  let items: Item[] = [];

  function isBefore(left: number, right: number): boolean {
    const [one, other] = [items[left], items[right]];
    return one !== undefined && other !== undefined && compare(one, other) < 0;
  }

  function swap(left: number, right: number): void {
    const [one, other] = [items[left], items[right]];
    if (one === undefined || other === undefined) return;
    items[left] = other;
    items[right] = one;
  }

  function rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!isBefore(at, parent)) return;
      swap(at, parent);
      at = parent;
    }
  }

  function sink(): void {
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const child = isBefore(left + 1, left) ? left + 1 : left;
      if (!isBefore(child, at)) return;
      swap(child, at);
      at = child;
    }
  }

  return {
    push(item) {
      items.push(item);
      rise(items.length - 1);
    },
    peek: () => items[0],
    pop() {
      const first = items[0];
      const last = items.pop();
      if (last !== undefined && items.length > 0) {
        items[0] = last;
        sink();
      }
      return first;
    },
    retain(keep) {
      // A sorted array is a heap.
      items = items.filter(keep).toSorted(compare);
    },
    size: () => items.length,
  };
}

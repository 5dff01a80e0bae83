/**
 * First in, first out, without the cost of `Array.shift`: the head moves instead of the items. It has no bound of its
 * own; whoever pushes asks for `length` first.
 */

/** So many empty places may stand before the head until it is worth while to move the items. */
const GAP_MIN = 64;

export class Fifo<Item extends object> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** The item that `shift` would take; undefined when there is none. */
  peek(): Item | undefined {
    return this.#items[this.#head];
  }

  /** Takes the first item out; undefined when there is none. O(1) on average: each item is moved less than once. */
  shift(): Item | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    // An item that was taken must not be kept alive by its old place.
    this.#items[this.#head] = undefined;
    this.#head += 1;
    this.#closeGap();
    return item;
  }

  /** Takes out the first `max` items, or all when there are fewer. */
  shiftUpTo(max: number): Item[] {
    const taken: Item[] = [];
    while (taken.length < max) {
      const item = this.shift();
      if (item === undefined) break;
      taken.push(item);
    }
    return taken;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }

  /** In order. What is pushed meanwhile is still seen; nothing may be taken out meanwhile. */
  *[Symbol.iterator](): Generator<Item, void, undefined> {
    for (let index = this.#head; index < this.#items.length; index++) {
      const item = this.#items[index];
      if (item !== undefined) yield item;
    }
  }

  #closeGap(): void {
    if (this.#head === this.#items.length) {
      this.clear();
    } else if (this.#head >= GAP_MIN && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}

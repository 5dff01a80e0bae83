/** A count that only grows, told bit by bit: what was lost since the start, added to a counter at each collection. */

/** Gives how much `count` has grown since the last call, since 0 at the first; 0 when it has not. */
export function increaseOf(count: () => number): () => number {
  let told = 0;
  return () => {
    const now = count();
    const increase = Math.max(0, now - told);
    told = now;
    return increase;
  };
}

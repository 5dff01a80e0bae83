/** A call for each shard that has a part of the items. */

/** All at once; waits for each of them, and rejects with the first failure in the order of shards. */
export async function everyShard<Item>(
  groups: ReadonlyMap<number, readonly Item[]>,
  call: (shard: number, items: readonly Item[]) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled([...groups].map(([shard, items]) => call(shard, items)));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

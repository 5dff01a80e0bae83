/** What a Redis says of its memory: one INFO of each master, which it answers from numbers that it has. */
import type { Redis } from "ioredis";
import type { RedisClient } from "./connect.ts";

export interface RedisMemory {
  readonly usedBytes: number;
  /** 0: it has no limit. */
  readonly maxBytes: number;
}

/** Null when it does not say. */
export async function memoryOf(node: Redis): Promise<RedisMemory | null> {
  const text = await node.info("memory");
  const [usedBytes, maxBytes] = ["used_memory", "maxmemory"].map((fact) =>
    Number(new RegExp(`^${fact}:(\\d+)`, "mu").exec(text)?.[1] ?? NaN),
  );
  if (usedBytes === undefined || maxBytes === undefined || Number.isNaN(usedBytes + maxBytes)) return null;
  return { usedBytes, maxBytes };
}

/** Of a Cluster all together; the limit is none when one master has none. */
export async function memoryOfAll(client: RedisClient): Promise<RedisMemory | null> {
  const all = (await Promise.all(mastersOf(client).map(memoryOf))).filter((memory) => memory !== null);
  if (all.length === 0) return null;
  const isLimited = all.every(({ maxBytes }) => maxBytes > 0);
  const sum = (of: (memory: RedisMemory) => number): number => all.reduce((total, memory) => total + of(memory), 0);
  return { usedBytes: sum(({ usedBytes }) => usedBytes), maxBytes: isLimited ? sum(({ maxBytes }) => maxBytes) : 0 };
}

export function mastersOf(client: RedisClient): readonly Redis[] {
  return "nodes" in client ? client.nodes("master") : [client];
}

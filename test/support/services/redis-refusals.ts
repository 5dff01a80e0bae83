/** What makes a real Redis refuse writes while it answers all else, each with the word that it says, and how that ends. */
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-ports.ts";
import type { RedisServer } from "./redis.ts";
import { waitFor } from "./wait-for.ts";

export interface RedisRefusal {
  readonly word: "OOM" | "READONLY" | "NOREPLICAS" | "MISCONF";
  begin(server: RedisServer): Promise<void>;
  end(server: RedisServer): Promise<void>;
}

/** A server for `redisRefusals`: without a save point a snapshot that fails stops no writes. */
export const REFUSING_CONF = ["save 3600 1000000"];

const SAVED_WITHIN_MS = 20_000;

export const redisRefusals: readonly RedisRefusal[] = [
  {
    word: "OOM",
    begin: (server) => set(server, "maxmemory", "1"),
    end: (server) => set(server, "maxmemory", "0"),
  },
  {
    word: "NOREPLICAS",
    begin: (server) => set(server, "min-replicas-to-write", "1"),
    end: (server) => set(server, "min-replicas-to-write", "0"),
  },
  {
    // A master that was made a replica, of one that is gone.
    word: "READONLY",
    begin: async (server) => void (await server.ask("REPLICAOF", "127.0.0.1", String(await freePort()))),
    end: async (server) => void (await server.ask("REPLICAOF", "NO", "ONE")),
  },
  {
    // The snapshot cannot take its name.
    word: "MISCONF",
    async begin(server) {
      mkdirSync(snapshotOf(server));
      await saved(server, "err");
    },
    async end(server) {
      rmdirSync(snapshotOf(server));
      await saved(server, "ok");
    },
  },
];

async function set(server: RedisServer, name: string, value: string): Promise<void> {
  await server.ask("CONFIG", "SET", name, value);
}

function snapshotOf({ folder }: RedisServer): string {
  return join(folder, "dump.rdb");
}

async function saved(server: RedisServer, status: "ok" | "err"): Promise<void> {
  await server.ask("BGSAVE");
  await waitFor({
    fact: `the snapshot to be ${status}`,
    withinMs: SAVED_WITHIN_MS,
    holds: async () => (await server.ask("INFO", "persistence")).includes(`rdb_last_bgsave_status:${status}`),
  });
}

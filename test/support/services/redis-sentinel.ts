/** A Redis master with two replicas under three Sentinels, for tests of a client that follows the master. */
import { freePorts } from "./free-ports.ts";
import type { RedisServer } from "./redis.ts";
import { startRedis } from "./redis.ts";
import { waitFor } from "./wait-for.ts";

/** Disposing kills all six processes and removes their data. */
export interface RedisSentinel extends AsyncDisposable {
  readonly masterName: string;
  /** The data's servers; the first began as the master. */
  readonly nodes: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];
  /** The master by the word of the first Sentinel that answers. */
  master(): Promise<RedisServer>;
}

const MASTER_NAME = "posthaste";
const QUORUM = 2;
/** A master that is silent for so long is down in a Sentinel's eyes. */
const DOWN_AFTER_MS = 1_000;
/** A failover that did not come about is tried again after twice this time. */
const FAILOVER_TIMEOUT_MS = 5_000;
const SETTLED_WITHIN_MS = 30_000;

/** Resolves once the replicas have the master's data and each Sentinel knows both replicas and both its fellows. */
export async function startSentinel(): Promise<RedisSentinel> {
  await using started = new AsyncDisposableStack();
  const [masterPort = 0, ...otherPorts] = await freePorts(6);
  const master = started.use(await startRedis({ port: masterPort }));
  const replicas: RedisServer[] = [];
  for (const port of otherPorts.slice(0, 2)) {
    replicas.push(started.use(await startRedis({ port, conf: [`replicaof 127.0.0.1 ${masterPort}`] })));
  }
  await waitFor({
    fact: "two Redis replicas to have their master's data",
    withinMs: SETTLED_WITHIN_MS,
    holds: async () => ((await master.ask("INFO", "replication")).match(/state=online/g) ?? []).length === 2,
  });
  const sentinels: RedisServer[] = [];
  for (const port of otherPorts.slice(2)) {
    sentinels.push(started.use(await startRedis({ port, isSentinel: true, conf: sentinelConf(masterPort) })));
  }
  await waitFor({
    fact: "three Sentinels to know each other and the replicas",
    withinMs: SETTLED_WITHIN_MS,
    holds: async () => (await Promise.all(sentinels.map(knowsAll))).every(Boolean),
  });
  const nodes = [master, ...replicas];
  const owned = started.move();
  return {
    masterName: MASTER_NAME,
    nodes,
    sentinels,
    master: async () => {
      const port = await masterPortOf(sentinels);
      const found = nodes.find((node) => node.port === port);
      if (found === undefined) throw new Error(`the Sentinels name a master that is none of ours: port ${port}`);
      return found;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function sentinelConf(masterPort: number): readonly string[] {
  return [
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_TIMEOUT_MS}`,
    `sentinel parallel-syncs ${MASTER_NAME} 1`,
  ];
}

/** `SENTINEL MASTER` prints a field's name and its value on lines of their own. */
async function knowsAll(sentinel: RedisServer): Promise<boolean> {
  const lines = (await sentinel.ask("SENTINEL", "MASTER", MASTER_NAME)).split("\n");
  const field = (name: string): string | undefined => lines[lines.indexOf(name) + 1];
  return field("num-slaves") === "2" && field("num-other-sentinels") === "2" && field("flags") === "master";
}

async function masterPortOf(sentinels: readonly RedisServer[]): Promise<number> {
  for (const sentinel of sentinels) {
    const answer = await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME).catch(() => "");
    const port = Number(answer.split("\n")[1]);
    if (port > 0) return port;
  }
  throw new Error("no Sentinel answers");
}

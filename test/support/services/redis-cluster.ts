/** A Redis Cluster of six nodes, three masters with a replica each, for tests of redirections and failovers. */
import { freePorts } from "./free-ports.ts";
import type { RedisServer } from "./redis.ts";
import { startRedis } from "./redis.ts";
import { waitFor } from "./wait-for.ts";

/** Disposing kills all nodes and removes their data. */
export interface RedisCluster extends AsyncDisposable {
  readonly nodes: readonly RedisServer[];
  /** The nodes that are masters now, by the word of the node asked; a failed one does not count. */
  masters(): Promise<readonly RedisServer[]>;
}

const NODES = 6;
const MASTERS = 3;
const OK_WITHIN_MS = 30_000;
/** A master that is silent for so long is replaced by its replica. */
const NODE_TIMEOUT_MS = 2_000;

const CLUSTER_CONF = [
  "cluster-enabled yes",
  `cluster-node-timeout ${NODE_TIMEOUT_MS}`,
  "cluster-config-file nodes.conf",
  "cluster-announce-ip 127.0.0.1",
];

/** Resolves once each node says that all slots are served and each replica has its master's data. */
export async function startRedisCluster(): Promise<RedisCluster> {
  await using started = new AsyncDisposableStack();
  const ports = await freePorts(NODES);
  const starts = await Promise.allSettled(ports.map((port) => startRedis({ port, conf: CLUSTER_CONF })));
  const nodes = starts.flatMap((start) => (start.status === "fulfilled" ? [started.use(start.value)] : []));
  const [first] = nodes;
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined || first === undefined) throw failed?.reason;
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  await first.ask("--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes");
  await waitFor({
    fact: "the Redis Cluster to be ok on each node",
    withinMs: OK_WITHIN_MS,
    holds: async () => (await Promise.all(nodes.map(isSettled))).every(Boolean),
  });
  const owned = started.move();
  return {
    nodes,
    masters: async () => {
      const current = await masterPorts(nodes);
      return nodes.filter(({ port }) => current.has(port));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function isSettled(node: RedisServer): Promise<boolean> {
  const [cluster, replication] = await Promise.all([node.ask("CLUSTER", "INFO"), node.ask("INFO", "replication")]);
  const knowsAll = cluster.includes("cluster_state:ok") && cluster.includes(`cluster_known_nodes:${NODES}`);
  // The word that a node has become a replica takes a moment to go round.
  const knowsRoles = (await masterPorts([node])).size === MASTERS;
  const isLinked = replication.includes("role:slave")
    ? replication.includes("master_link_status:up")
    : replication.includes("connected_slaves:1");
  return knowsAll && knowsRoles && isLinked;
}

/** Asks the nodes one after the other until one answers; lines are `id host:port@bus flags ...`. */
async function masterPorts(nodes: readonly RedisServer[]): Promise<ReadonlySet<number>> {
  for (const node of nodes) {
    const answer = await node.ask("CLUSTER", "NODES").catch(() => "");
    const fields = answer.split("\n").map((line) => line.split(" "));
    const masters = fields.filter(([, , flags]) => flags?.includes("master") === true && !flags.includes("fail"));
    if (masters.length > 0) return new Set(masters.map(([, address]) => Number(/:(\d+)@/.exec(address ?? "")?.[1])));
  }
  throw new Error("no node of the Redis Cluster answers");
}

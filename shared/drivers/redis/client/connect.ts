/**
 * Connections of ioredis, one kind for each use. None of them queues a command while it is not connected, and none sends
 * a command twice: waiting and repeating are decisions of those who call (`ioredis-calls.ts`).
 */
import { Cluster, Redis } from "ioredis";
import type { CommonRedisOptions, RedisOptions } from "ioredis";

import type { RedisAddress, RedisNode } from "./redis-url.ts";

export type RedisClient = Redis | Cluster;

export interface ConnectOptions {
  readonly address: RedisAddress;
  /** Shown by CLIENT LIST. */
  readonly connectionName: string;
  /** Ms until the next try after `times` failures in a row; null: no further try. */
  readonly retryMs: (times: number) => number | null;
  /** Commands of one turn of the event loop share a write; not for connections that block. */
  readonly isPipelined: boolean;
  /** A connection on which an answer is awaited this long without a byte is given up. */
  readonly silenceMsMax: number;
}

export const CONNECT_MS_MAX = 3000;

/** Begins to connect at once; the client's status and events tell how that went. Errors need a listener. */
export function connectRedis(options: ConnectOptions): RedisClient {
  const { address } = options;
  if (address.kind === "cluster") return connectCluster(options);
  return new Redis(address.kind === "sentinel" ? sentinelOptions(options) : nodeOptions(options, firstOf(address)));
}

/** One connection to one node, for subscriptions: in a Cluster every node hears what is published on any other. */
export function connectToNode(options: ConnectOptions, index: number): Redis {
  const { address } = options;
  if (address.kind === "sentinel") return new Redis(sentinelOptions(options));
  const node = address.nodes[index % address.nodes.length] ?? firstOf(address);
  return new Redis({ ...nodeOptions(options, node), enableAutoPipelining: false });
}

function connectCluster(options: ConnectOptions): Cluster {
  const { address, retryMs } = options;
  return new Cluster(
    address.nodes.map(({ host, port }) => ({ host, port })),
    {
      clusterRetryStrategy: retryMs,
      enableOfflineQueue: false,
      enableAutoPipelining: options.isPipelined,
      slotsRefreshTimeout: CONNECT_MS_MAX,
      // Names are left as they are with TLS, because certificates hold names and not addresses.
      ...(address.isTls ? { dnsLookup: (host, done) => done(null, host) } : {}),
      redisOptions: commonOptions(options),
    },
  );
}

/** Replies have the same shapes whichever protocol the server speaks. */
interface Legacy {
  readonly replyMapping: "legacy";
}

type NodeOptions = Omit<RedisOptions, "replyMapping"> & Legacy;

function nodeOptions(options: ConnectOptions, node: RedisNode): NodeOptions {
  return { ...commonOptions(options), ...reconnecting(options), host: node.host, port: node.port };
}

function sentinelOptions(options: ConnectOptions): NodeOptions {
  const { address, retryMs } = options;
  return {
    ...commonOptions(options),
    ...reconnecting(options),
    name: address.masterName,
    sentinels: address.nodes.map(({ host, port }) => ({ host, port })),
    sentinelRetryStrategy: retryMs,
    sentinelCommandTimeout: CONNECT_MS_MAX,
    ...(address.isTls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
}

function reconnecting(options: ConnectOptions): Omit<RedisOptions, "replyMapping"> {
  return {
    retryStrategy: options.retryMs,
    enableOfflineQueue: false,
    enableAutoPipelining: options.isPipelined,
    autoResubscribe: false,
  };
}

function commonOptions(
  options: ConnectOptions,
): Omit<CommonRedisOptions, "replyMapping" | "retryStrategy" | "enableOfflineQueue" | "readOnly" | "himportFieldsets"> &
  Pick<RedisOptions, "tls"> &
  Legacy {
  const { address } = options;
  return {
    replyMapping: "legacy",
    db: address.db,
    connectionName: options.connectionName,
    connectTimeout: CONNECT_MS_MAX,
    socketTimeout: options.silenceMsMax,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A master that became a replica refuses writes: the next connection finds the new one.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
    ...(address.username === null ? {} : { username: address.username }),
    ...(address.password === null ? {} : { password: address.password }),
    ...(address.isTls ? { tls: {} } : {}),
  };
}

function firstOf(address: RedisAddress): RedisNode {
  const first = address.nodes[0];
  if (first === undefined) throw new Error(`${address.name} names no host`);
  return first;
}

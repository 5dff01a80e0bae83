/** Redis and Kafka of a run's own, each behind a proxy that can fail as a network does. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { whenWeExit } from "posthaste/exit-with-us.ts";
import { freePorts } from "../support/services/free-ports.ts";
import type { Kafka } from "../support/services/kafka.ts";
import { startKafka } from "../support/services/kafka.ts";
import type { RedisSentinel } from "../support/services/redis-sentinel.ts";
import { startSentinel } from "../support/services/redis-sentinel.ts";
import type { RedisServer } from "../support/services/redis.ts";
import { startRedis } from "../support/services/redis.ts";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";

/** What there is beside one Redis and one broker: `three` brokers, a `cache` Redis, Sentinels, a small disk under Kafka. */
export const LAYOUTS = ["one", "three", "cache", "sentinel", "small-disk"] as const;
export type Layout = (typeof LAYOUTS)[number];

export interface ProxiedRedis {
  readonly server: RedisServer;
  readonly proxy: TcpProxy;
}

export interface Stores extends AsyncDisposable {
  readonly layout: Layout;
  /** Null under Sentinels, which send clients to the servers themselves. */
  readonly redis: ProxiedRedis | null;
  readonly cache: ProxiedRedis | null;
  readonly sentinel: RedisSentinel | null;
  readonly kafka: Kafka;
  /** One before each broker. */
  readonly brokerProxies: readonly TcpProxy[];
  /** The whole of Kafka's file system, when it has one of its own. */
  readonly kafkaDisk: string | null;
  /** Names the stores to the programs. */
  readonly env: Readonly<Record<string, string>>;
}

/** Room for the topics' first segments, and little more. */
const SMALL_DISK_MIB = 96;

export async function openStores(layout: Layout): Promise<Stores> {
  await using opening = new AsyncDisposableStack();
  const kafkaDisk = layout === "small-disk" ? opening.use(mountSmallDisk()).path : null;
  const brokers = layout === "three" ? 3 : 1;
  const advertisedPorts = await freePorts(brokers);
  const [kafka, redis, cache, sentinel] = await Promise.all([
    startKafka({ brokers, advertisedPorts, ...(kafkaDisk === null ? {} : { folder: kafkaDisk }) }).then((each) =>
      opening.use(each),
    ),
    layout === "sentinel" ? null : openProxiedRedis().then((each) => opening.use(each)),
    layout === "cache" ? openProxiedRedis().then((each) => opening.use(each)) : null,
    layout === "sentinel" ? startSentinel().then((each) => opening.use(each)) : null,
  ]);
  const brokerProxies = await Promise.all(
    kafka.nodes.map(async ({ port }, at) => opening.use(await openTcpProxy({ port }, advertisedPorts[at]))),
  );
  const sentinels = sentinel?.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",") ?? "";
  const redisUrl = redis === null ? `redis+sentinel://${sentinels}/${sentinel?.masterName}` : urlOf(redis.proxy);
  const opened = opening.move();
  return {
    layout,
    redis,
    cache,
    sentinel,
    kafka,
    brokerProxies,
    kafkaDisk,
    env: {
      REDIS_URL: redisUrl,
      ...(cache === null ? {} : { REDIS_CACHE_URL: urlOf(cache.proxy) }),
      KAFKA_BROKERS: advertisedPorts.map((port) => `127.0.0.1:${port}`).join(","),
      KAFKA_REPLICATION: String(brokers),
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function openProxiedRedis(): Promise<ProxiedRedis & AsyncDisposable> {
  await using opening = new AsyncDisposableStack();
  const server = opening.use(await startRedis());
  const proxy = opening.use(await openTcpProxy({ port: server.port }));
  const opened = opening.move();
  return { server, proxy, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function urlOf({ port }: TcpProxy): string {
  return `redis://127.0.0.1:${port}`;
}

/** Linux and root. */
function mountSmallDisk(): { readonly path: string } & Disposable {
  if (process.getuid?.() !== 0) throw new Error("a small disk under Kafka is a mount, which needs root");
  const folder = openTemporaryFolder("disk");
  const path = join(folder.path, "kafka");
  mkdirSync(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SMALL_DISK_MIB}m`, "tmpfs", path]);
  const unmount = (): void => void execFileSync("umount", ["--lazy", path]);
  const forget = whenWeExit(unmount);
  return {
    path,
    [Symbol.dispose]() {
      forget();
      unmount();
      folder[Symbol.dispose]();
    },
  };
}

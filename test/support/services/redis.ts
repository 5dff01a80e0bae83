/** A redis-server of a test's own, for faults: killed, stopped, frozen and restarted on the same data. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireRedis } from "./debian-packages.ts";
import { freePort } from "./free-ports.ts";
import { redisAnswers, redisCli } from "./redis-cli.ts";
import type { ServiceProcess } from "./service-process.ts";
import { startService } from "./service-process.ts";
import { openTemporaryFolder } from "./temporary-folder.ts";

export interface RedisOptions {
  /** A free one unless given. */
  readonly port?: number;
  /** Holds data, configuration and log, and is left alone in the end; a temporary one, which is removed, unless given. */
  readonly folder?: string;
  /** Lines of redis.conf after the usual ones, which they override. */
  readonly conf?: readonly string[];
  /** Asked from every client (and by this server from its master); none unless given. */
  readonly password?: string;
  /** Runs as a Sentinel, which keeps no data and takes no data's settings. */
  readonly isSentinel?: boolean;
}

/** Disposing kills the server and removes a temporary folder. */
export interface RedisServer extends ServiceProcess {
  readonly port: number;
  readonly folder: string;
  /** `redis://[:password@]127.0.0.1:port` */
  readonly url: string;
  /** The printed answer of `redis-cli` to a command. */
  ask(...command: string[]): Promise<string>;
}

const READY_WITHIN_MS = 15_000;

/** Durable as in production: an append-only file, synced each second, and no eviction. */
export const DATA_CONF = [
  'save ""',
  "appendonly yes",
  "appendfsync everysec",
  "maxmemory-policy noeviction",
  // A replica begins its copy at once instead of after 5 s of waiting for further ones.
  "repl-diskless-sync-delay 0",
];

/** Resolves once the server has loaded its data and answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  requireRedis();
  const { password, conf = [], isSentinel = false } = options;
  const port = options.port ?? (await freePort());
  await using started = new AsyncDisposableStack();
  const folder = options.folder ?? started.use(openTemporaryFolder("redis")).path;
  const name = `redis-${port}`;
  const confFile = join(folder, `${name}.conf`);
  const auth = password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`];
  const lines = ["bind 127.0.0.1", `port ${port}`, ...(isSentinel ? [] : DATA_CONF), ...auth, ...conf];
  writeFileSync(confFile, `${lines.join("\n")}\n`);
  if (options.folder !== undefined) started.defer(() => rmSync(confFile, { force: true }));
  const service = started.use(
    await startService({
      name,
      command: ["redis-server", confFile, ...(isSentinel ? ["--sentinel"] : [])],
      folder,
      isReady: () => redisAnswers({ port, password }),
      readyWithinMs: READY_WITHIN_MS,
    }),
  );
  const owned = started.move();
  return {
    ...service,
    port,
    folder,
    url: `redis://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    ask: (...command) => redisCli({ port, password }, ...command),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

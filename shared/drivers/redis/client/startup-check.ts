/**
 * Is this Redis there, does it let us in, and does it keep what it is given? Asked once, before anything is served: a
 * wrong address or password is an error within seconds, not an endless retry.
 */
import type { Redis } from "ioredis";

import type { Clock } from "../../../lib/ambient.ts";
import { DeadlineExceeded } from "../../../lib/ambient.ts";
import type { RedisClient } from "./connect.ts";
import { CONNECT_MS_MAX, connectRedis } from "./connect.ts";
import { mastersOf, memoryOf } from "./memory.ts";
import type { RedisAddress } from "./redis-url.ts";
import { parseRedisUrl } from "./redis-url.ts";

/** `lanes`: holds accepted events, so it must neither evict nor forget. `cache`: may lose all at any time. */
export type RedisRole = "lanes" | "cache";

/** The whole check. */
export const CHECK_MS_MAX = 2 * CONNECT_MS_MAX;

/**
 * Resolves with warnings, one sentence or two each. Throws a plain Error that names the setting and the remedy when
 * Redis is not reachable, refuses the login, or would evict lanes.
 */
export async function checkRedis(options: {
  readonly url: string;
  /** The setting that `url` comes from: REDIS_URL or REDIS_CACHE_URL. */
  readonly name: string;
  readonly role: RedisRole;
  readonly clock: Pick<Clock, "deadline">;
  /** What waits there while the log is away may weigh so much; whether it fits is not asked unless given. */
  readonly spoolBytesMax?: number;
}): Promise<readonly string[]> {
  const { name, role } = options;
  const address = parseRedisUrl(options.url, name);
  const connectionName = "posthaste-check";
  const retryMs = (): null => null;
  const client = connectRedis({ address, connectionName, retryMs, isPipelined: false, silenceMsMax: CONNECT_MS_MAX });
  using deadline = options.clock.deadline(CHECK_MS_MAX);
  try {
    await untilReady(client, address, deadline.signal);
    const { spoolBytesMax = 0 } = options;
    const checking = checkNodes(client, address, role, spoolBytesMax);
    const warnings = await withDeadline(checking, address, deadline.signal);
    return [...new Set(warnings)];
  } finally {
    client.disconnect();
  }
}

function untilReady(client: RedisClient, address: RedisAddress, signal: AbortSignal): Promise<void> {
  let last: unknown = null;
  const ready = new Promise<void>((resolve, reject) => {
    client.on("error", (error: unknown) => {
      last = error;
    });
    client.once("ready", resolve);
    client.once("end", () => reject(toRefusal(last, address)));
  });
  return withDeadline(ready, address, signal);
}

function withDeadline<Answer>(answer: Promise<Answer>, address: RedisAddress, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(toRefusal(signal.reason, address)), { once: true });
    answer.then(resolve, reject);
  });
}

/** The first cause below what the client reports of a Sentinel's or a Cluster's nodes decides what is said. */
function toRefusal(error: unknown, address: RedisAddress): Error {
  const cause = deepestOf(error);
  const text = cause instanceof Error ? cause.message : "";
  const { name } = address;
  if (/^(?:WRONGPASS|NOAUTH|NOPERM)|invalid password|invalid username-password/iu.test(text)) {
    return new Error(`Redis refuses the login of ${name}. Check the user and the password in ${name}.`, { cause });
  }
  if (address.kind === "cluster" && /cluster support disabled/iu.test(text)) {
    return new Error(`${name} says redis+cluster://, but this Redis is not a Cluster. Write redis://.`, { cause });
  }
  const where = address.nodes.map(({ host, port }) => `${host}:${port}`).join(", ");
  if (/certificate/iu.test(text)) {
    const remedy = "Name a file with its authority in NODE_EXTRA_CA_CERTS.";
    return new Error(`Redis at ${where} (${name}) is not trusted: ${text}. ${remedy}`, { cause });
  }
  const why = cause instanceof DeadlineExceeded ? `no answer within ${CHECK_MS_MAX} ms` : text || "connection closed";
  const master = address.kind === "sentinel" ? ` for the master ${address.masterName}` : "";
  return new Error(`Redis is not reachable at ${where}${master} (${why}). Start it, or mend ${name}.`, { cause });
}

function deepestOf(error: unknown): unknown {
  if (error instanceof Error && "lastNodeError" in error && error.lastNodeError instanceof Error) {
    return deepestOf(error.lastNodeError);
  }
  return error;
}

async function checkNodes(
  client: RedisClient,
  address: RedisAddress,
  role: RedisRole,
  spoolBytesMax: number,
): Promise<string[]> {
  const masters = mastersOf(client);
  const warnings: string[] = [];
  for (const master of masters) {
    warnings.push(...(await checkNode(master, address, role)));
    if (spoolBytesMax > 0) warnings.push(...(await roomWarnings(master, address, spoolBytesMax, masters.length)));
  }
  return warnings;
}

const MIB = 1024 ** 2;

/** Each master of a Cluster has its part. What is in use now has a place beside it. */
async function roomWarnings(
  node: Redis,
  { name }: RedisAddress,
  spoolBytesMax: number,
  masters: number,
): Promise<string[]> {
  const memory = await memoryOf(node).catch(() => null);
  if (memory === null || memory.maxBytes === 0) return [];
  const { usedBytes: used, maxBytes: most } = memory;
  const needed = used + spoolBytesMax / masters;
  if (needed <= most) return [];
  const each = masters === 1 ? "" : " on each master";
  return [
    `Redis (${name}) has ${mib(most - used)} MiB left of its maxmemory, and what waits there while Kafka is away may take ` +
      `${mib(spoolBytesMax / masters)} MiB (REDIS_SPOOL_MIB=${mib(spoolBytesMax)}), after which it refuses everything: set ` +
      `maxmemory to ${Math.ceil(needed / MIB)}mb at least${each}, or a smaller REDIS_SPOOL_MIB.`,
  ];
}

function mib(bytes: number): number {
  return Math.max(0, Math.floor(bytes / MIB));
}

async function checkNode(node: Redis, address: RedisAddress, role: RedisRole): Promise<string[]> {
  if (role === "cache") {
    await node.ping().catch((error: unknown) => Promise.reject(toRefusal(error, address)));
    return [];
  }
  const [policy, appendOnly, fsync] = await Promise.all(
    ["maxmemory-policy", "appendonly", "appendfsync"].map((setting) => readSetting(node, setting)),
  );
  if (policy === null || policy === undefined || appendOnly === null || fsync === null) {
    return [
      `Redis (${address.name}) does not let its settings be read (CONFIG GET). It must run with maxmemory-policy ` +
        "noeviction and should run with appendonly yes; see to it where it is set up.",
    ];
  }
  if (policy !== "noeviction") {
    throw new Error(
      `Redis (${address.name}) runs with maxmemory-policy ${policy}, which deletes accepted events when memory is ` +
        `short. Set maxmemory-policy noeviction, or let ${address.name} name another Redis.`,
    );
  }
  return durabilityWarnings(address.name, appendOnly, fsync);
}

function durabilityWarnings(name: string, appendOnly: string | undefined, fsync: string | undefined): string[] {
  if (appendOnly !== "yes") {
    return [
      `Redis (${name}) runs with appendonly ${appendOnly ?? "no"}: if it stops, HIGH events accepted since its last ` +
        "snapshot are lost. Set appendonly yes.",
    ];
  }
  if (fsync === "always") return [];
  const span = fsync === "no" ? "about the last 30 seconds" : "the last second or two";
  return [
    `Redis (${name}) runs with appendfsync ${fsync ?? "everysec"}: if its machine loses power, HIGH events accepted in ` +
      `${span} are lost. Set appendfsync always to rule that out.`,
  ];
}

/** Null when it is not ours to read. */
async function readSetting(node: Redis, setting: string): Promise<string | null> {
  try {
    const reply = await node.config("GET", setting);
    return Array.isArray(reply) && typeof reply[1] === "string" ? reply[1] : null;
  } catch {
    return null;
  }
}

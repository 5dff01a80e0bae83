/**
 * Addresses of Redis as one setting: a single node, a master found by Sentinels, or a Cluster.
 *
 *   redis://[user:password@]host[:port][/db]
 *   redis+sentinel://[user:password@]host[:port],host[:port]/master-name[/db]
 *   redis+cluster://[user:password@]host[:port],host[:port]
 *
 * and the same with `rediss` for TLS. User and password are percent-encoded; `redis://:password@host` has no user.
 */
import { ConfigError } from "../../../domain/config.ts";

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  /** The setting that it came from, for messages. */
  readonly name: string;
  readonly kind: "single" | "sentinel" | "cluster";
  /** The node itself, the Sentinels, or the first nodes of the Cluster to ask; 1 to `REDIS_NODES_MAX`. */
  readonly nodes: readonly RedisNode[];
  /** Of Sentinel; else empty. */
  readonly masterName: string;
  readonly db: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly isTls: boolean;
}

export const REDIS_NODES_MAX = 32;

const SHAPE =
  /^redis(?<tls>s?)(?<kind>\+sentinel|\+cluster)?:\/\/(?:(?<user>.*)@)?(?<hosts>[^@/?#]*)(?<path>\/[^?#]*)?$/su;
const HOST = /^(?:\[(?<v6>[0-9a-f:.%]+)\]|(?<host>[a-z0-9._-]+))(?::(?<port>\d{1,5}))?$/iu;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;
const DB_MAX = 65_535;

/** Throws a `ConfigError` that names the setting and the remedy, and repeats nothing of the text: it may hold a password. */
export function parseRedisUrl(text: string, name: string): RedisAddress {
  const refuse = (problem: string): never => {
    throw new ConfigError([`${name} is not valid: ${problem}. ${REMEDY}`]);
  };
  const parts = SHAPE.exec(text.trim())?.groups;
  if (parts === undefined) return refuse("it is not a redis://, rediss://, redis+sentinel:// or redis+cluster:// URL");
  const kind = kindOf(parts["kind"]);
  const hosts = (parts["hosts"] ?? "").split(",");
  if (hosts.length > REDIS_NODES_MAX) return refuse(`it names more than ${REDIS_NODES_MAX} hosts`);
  if (kind === "single" && hosts.length > 1) return refuse("several hosts need redis+sentinel:// or redis+cluster://");
  const nodes = hosts.map((host) => parseNode(host, kind === "sentinel" ? SENTINEL_PORT : REDIS_PORT));
  const path = (parts["path"] ?? "").split("/").filter((segment) => segment !== "");
  const [masterName, dbText, ...rest] = kind === "sentinel" ? path : ["", ...path];
  const db = parseDb(dbText);
  const login = parseLogin(parts["user"]);
  if (nodes.includes(null)) return refuse("a host or a port is missing or malformed");
  if (kind === "sentinel" && masterName === undefined)
    return refuse("the name of the master is missing after the hosts");
  if (rest.length > 0 || db === null) return refuse("the number of the database is malformed");
  if (kind === "cluster" && db !== 0) return refuse("a Cluster has no database but 0");
  if (login === null) return refuse("user and password must be percent-encoded, and a user needs a password");
  return {
    name,
    kind,
    nodes: nodes.filter((node) => node !== null),
    masterName: decode(masterName ?? "") ?? "",
    db,
    ...login,
    isTls: parts["tls"] === "s",
  };
}

const REMEDY =
  "Write redis://user:password@host:6379/0, redis+sentinel://host:26379,host:26379/master-name or " +
  "redis+cluster://host:6379,host:6379, with rediss for TLS and special characters percent-encoded.";

function kindOf(suffix: string | undefined): RedisAddress["kind"] {
  if (suffix === "+sentinel") return "sentinel";
  return suffix === "+cluster" ? "cluster" : "single";
}

function parseNode(text: string, defaultPort: number): RedisNode | null {
  const groups = HOST.exec(text.trim())?.groups;
  const host = groups?.["v6"] ?? groups?.["host"];
  const port = Number(groups?.["port"] ?? defaultPort);
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port };
}

function parseDb(text: string | undefined): number | null {
  if (text === undefined) return 0;
  const db = /^\d{1,5}$/u.test(text) ? Number(text) : Number.NaN;
  return db <= DB_MAX ? db : null;
}

function parseLogin(text: string | undefined): Pick<RedisAddress, "username" | "password"> | null {
  if (text === undefined) return { username: null, password: null };
  const colon = text.indexOf(":");
  const username = decode(text.slice(0, colon));
  const password = decode(text.slice(colon + 1));
  if (colon < 0 || username === null || password === null || password === "") return null;
  return { username: username === "" ? null : username, password };
}

/** Null when the percent-encoding is broken. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/**
 * Settings of a gateway at the edge: Redis over HTTP, under the names that Upstash gives them, and how the deployment divides it.
 * Parsed once, each problem named with its variable and the remedy; the token never appears in an error.
 */
import * as v from "valibot";
import type { Environment } from "./config.ts";
import { ConfigError } from "./config.ts";
import { Filled, RedisLayout } from "./distributed-config.ts";

export interface EdgeConfig {
  readonly redisRest: { readonly url: string; readonly token: string };
  /** As the deployment's other programs have them. */
  readonly redisShards: number;
  readonly redisPrefix: string;
  readonly spoolBytesMax: number;
}

/** The setting that the address comes from. */
export const REST_URL = "UPSTASH_REDIS_REST_URL";

const RestUrl = v.pipe(
  v.string(),
  v.check(isPlainHttp, "must be https://host or http://host, with a path at most: no user, query or fragment"),
);
/** What a header field may carry. */
const RestToken = v.pipe(Filled, v.regex(/^[\x21-\x7e]+$/, "must be the token alone, without spaces around it"));

const Settings = v.object({ [REST_URL]: RestUrl, UPSTASH_REDIS_REST_TOKEN: RestToken, ...RedisLayout });

/** Throws `ConfigError` with one line for each problem. */
export function parseEdge(environment: Environment): EdgeConfig {
  const missing = [REST_URL, "UPSTASH_REDIS_REST_TOKEN", "POSTHASTE_MASTER_KEY"].filter(
    (name) => (environment[name] ?? "") === "",
  );
  if (missing.length > 0) throw new ConfigError(missing.map((name) => `${name} is missing: ${WHY}`));
  const parsed = v.safeParse(Settings, environment);
  if (!parsed.success) {
    throw new ConfigError(parsed.issues.map((issue) => `${v.getDotPath(issue) ?? "environment"} ${issue.message}`));
  }
  const settings = parsed.output;
  return {
    redisRest: { url: settings[REST_URL].replace(/\/+$/, ""), token: settings.UPSTASH_REDIS_REST_TOKEN },
    redisShards: settings.REDIS_SHARDS ?? 1,
    redisPrefix: settings.REDIS_PREFIX,
    spoolBytesMax: settings.REDIS_SPOOL_MIB * 1024 ** 2,
  };
}

const WHY = "a gateway at the edge needs the deployment's Redis over HTTP, and its master key";

function isPlainHttp(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  const isHttp = protocol === "https:" || protocol === "http:";
  return isHttp && [username, password, search, hash].every((part) => part === "");
}

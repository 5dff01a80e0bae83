/** What is said of a Redis before anything is served: its address, its login, its settings. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRedisUrl } from "@posthaste/shared/drivers/redis/client/redis-url.ts";
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import { checkRedis } from "@posthaste/shared/drivers/redis/client/startup-check.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { startRedis } from "../../support/services/redis.ts";
import { openActor } from "./proxy.ts";
import { START_MS } from "../../support/samples.ts";

const REDIS_URL = process.env["REDIS_URL"] ?? "redis://127.0.0.1:1";

test("parseRedisUrl() reads a single node with its defaults", () => {
  assert.deepEqual(parseRedisUrl("redis://cache.internal", "REDIS_URL"), {
    name: "REDIS_URL",
    kind: "single",
    nodes: [{ host: "cache.internal", port: 6379 }],
    masterName: "",
    db: 0,
    username: null,
    password: null,
    isTls: false,
  });
});

test("parseRedisUrl() reads user, password, port, database and TLS", () => {
  const address = parseRedisUrl("rediss://ann:p%40ss%2Fword@[::1]:7000/3", "REDIS_URL");
  const { username, password, nodes, db, isTls } = address;
  assert.deepEqual([username, password, db, isTls], ["ann", "p@ss/word", 3, true]);
  assert.deepEqual(nodes, [{ host: "::1", port: 7000 }]);
  assert.deepEqual(parseRedisUrl("redis://:only@h", "REDIS_URL").username, null);
  assert.deepEqual(parseRedisUrl("redis://:only@h", "REDIS_URL").password, "only");
});

test("parseRedisUrl() reads Sentinels with the name of their master", () => {
  const address = parseRedisUrl("rediss+sentinel://a:b@one:1,two/main/2", "REDIS_URL");
  assert.deepEqual([address.kind, address.masterName, address.db, address.isTls], ["sentinel", "main", 2, true]);
  assert.deepEqual(address.nodes, [
    { host: "one", port: 1 },
    { host: "two", port: 26_379 },
  ]);
});

test("parseRedisUrl() reads a Cluster", () => {
  const address = parseRedisUrl("redis+cluster://one,two:7001", "REDIS_CACHE_URL");
  assert.deepEqual([address.kind, address.name], ["cluster", "REDIS_CACHE_URL"]);
  assert.deepEqual(
    address.nodes.map(({ port }) => port),
    [6379, 7001],
  );
});

for (const bad of [
  "",
  "localhost:6379",
  "http://x:hunter2@h",
  "redis://",
  "redis://x:hunter2@h:0",
  "redis://x:hunter2@h:65536",
  "redis://x:hunter2@h/one",
  "redis://x:hunter2@h/0/1",
  "redis://x:hunter2@h,g",
  "redis://hunter2@h",
  "redis://x:%hunter2@h",
  "redis://x:hunter2@h/0?tls=1",
  "redis+sentinel://x:hunter2@h",
  "redis+cluster://x:hunter2@h/1",
  `redis+cluster://${"h,".repeat(40)}h`,
]) {
  test(`parseRedisUrl() refuses ${JSON.stringify(bad).slice(0, 40)}, names the setting and repeats no secret`, () => {
    assert.throws(
      () => parseRedisUrl(bad, "REDIS_URL"),
      (error: Error) =>
        error instanceof ConfigError &&
        error.message.startsWith("REDIS_URL is not valid: ") &&
        error.message.includes("Write redis://") &&
        !error.message.includes("hunter2"),
    );
  });
}

test("checkRedis() takes a Redis that keeps everything, and says what its settings put at risk", async () => {
  const warnings = await checkRedis({ url: REDIS_URL, name: "REDIS_URL", role: "lanes", clock: systemClock });
  for (const warning of warnings) assert.match(warning, /^Redis \(REDIS_URL\) runs with append/u);
});

const CASES = [
  { settings: { "maxmemory-policy": "noeviction", appendonly: "yes", appendfsync: "always" }, warning: null },
  { settings: { "maxmemory-policy": "noeviction", appendonly: "yes", appendfsync: "everysec" }, warning: /everysec/u },
  { settings: { "maxmemory-policy": "noeviction", appendonly: "yes", appendfsync: "no" }, warning: /30 seconds/u },
  {
    settings: { "maxmemory-policy": "noeviction", appendonly: "no", appendfsync: "always" },
    warning: /appendonly yes/u,
  },
  { settings: {}, warning: /CONFIG GET/u },
] as const;

for (const { settings, warning } of CASES) {
  test(`checkRedis() of ${JSON.stringify(settings)} ${warning === null ? "has nothing to say" : "warns"}`, async () => {
    await using actor = await openActor(actingAs(settings));
    const warnings = await checkRedis({ url: actor.url, name: "REDIS_URL", role: "lanes", clock: systemClock });
    if (warning === null) assert.deepEqual(warnings, []);
    else assert.match(warnings.join("\n"), warning);
  });
}

test("checkRedis() refuses lanes on a Redis that evicts, but not a cache", async () => {
  await using actor = await openActor(
    actingAs({ "maxmemory-policy": "allkeys-lru", appendonly: "yes", appendfsync: "always" }),
  );
  const options = { url: actor.url, name: "REDIS_URL", clock: systemClock } as const;
  await assert.rejects(
    checkRedis({ ...options, role: "lanes" }),
    /REDIS_URL.*allkeys-lru.*Set maxmemory-policy noevic/u,
  );
  assert.deepEqual(await checkRedis({ ...options, role: "cache" }), []);
});

const MIB = 1024 ** 2;
const KEEPS_ALL = { "maxmemory-policy": "noeviction", appendonly: "yes", appendfsync: "always" } as const;

for (const [memory, warning] of [
  [{ used_memory: 100 * MIB, maxmemory: 0 }, null],
  [{ used_memory: 100 * MIB, maxmemory: 612 * MIB }, null],
  [{ used_memory: 100 * MIB, maxmemory: 611 * MIB }, /511 MiB left .*REDIS_SPOOL_MIB=512.*set maxmemory to 612mb/u],
  [{ used_memory: 300 * MIB, maxmemory: 256 * MIB }, / 0 MiB left .*set maxmemory to 812mb/u],
  [{}, null],
] as const) {
  const said = warning === null ? "has nothing to say" : "warns in one sentence";
  test(`checkRedis() of ${JSON.stringify(memory)} for a spool of 512 MiB ${said}`, async () => {
    await using actor = await openActor(actingAs(KEEPS_ALL, memory));
    const options = { url: actor.url, name: "REDIS_URL", clock: systemClock, spoolBytesMax: 512 * MIB } as const;
    const warnings = await checkRedis({ ...options, role: "lanes" });
    assert.equal(warnings.length, warning === null ? 0 : 1);
    if (warning !== null) assert.match(warnings[0] ?? "", warning);
  });
}

test("checkRedis() reads what a real Redis has left", async () => {
  await using redis = await startRedis({ conf: ["appendfsync always", "maxmemory 64mb"] });
  const options = { url: redis.url, name: "REDIS_URL", role: "lanes", clock: systemClock } as const;
  const [warning = "", ...others] = await checkRedis({ ...options, spoolBytesMax: 64 * MIB });
  assert.match(warning, /^Redis \(REDIS_URL\) has 6\d MiB left of its maxmemory.*REDIS_SPOOL_MIB=64/u);
  assert.deepEqual(others, []);
  assert.deepEqual(await checkRedis({ ...options, spoolBytesMax: 32 * MIB }), []);
});

test("checkRedis() says that the login is wrong, and repeats no password", async () => {
  const url = REDIS_URL.replace("redis://", "redis://nobody:hunter2@");
  await assert.rejects(
    checkRedis({ url, name: "REDIS_URL", role: "lanes", clock: systemClock }),
    (error: Error) => /refuses the login of REDIS_URL/u.test(error.message) && !error.message.includes("hunter2"),
  );
});

test("checkRedis() says that nobody listens, for each kind of address", async () => {
  for (const url of ["redis://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/main", "redis+cluster://127.0.0.1:1"]) {
    await assert.rejects(
      checkRedis({ url, name: "REDIS_CACHE_URL", role: "cache", clock: systemClock }),
      /not reachable at 127\.0\.0\.1:1.*mend REDIS_CACHE_URL/u,
    );
  }
});

test("checkRedis() gives up on a server that accepts and stays silent", async () => {
  await using actor = await openActor(() => "");
  const clock = createManualClock(START_MS);
  const refused = assert.rejects(
    checkRedis({ url: actor.url, name: "REDIS_URL", role: "lanes", clock }),
    /not reachable.*no answer within/u,
  );
  await clock.advance(60_000);
  await refused;
});

test("checkRedis() tells a Cluster's address from a single node's", async () => {
  await assert.rejects(
    checkRedis({
      url: REDIS_URL.replace("redis://", "redis+cluster://"),
      name: "REDIS_URL",
      role: "lanes",
      clock: systemClock,
    }),
    /not a Cluster/u,
  );
});

function actingAs(
  settings: Readonly<Record<string, string>>,
  memory: Readonly<Record<string, number>> = {},
): (command: readonly string[]) => string {
  return ([name, , setting]) => {
    if (name === "HELLO") return "-NOPROTO unsupported protocol version\r\n";
    const facts = Object.entries(memory).map(([fact, value]) => `${fact}:${value}\r\n`);
    if (name === "INFO" && setting === undefined && facts.length > 0) return bulk(`# Memory\r\n${facts.join("")}`);
    if (name === "INFO") return bulk("role:master\r\nloading:0\r\n");
    if (name === "PING") return "+PONG\r\n";
    if (name !== "CONFIG") return "+OK\r\n";
    const value = settings[setting ?? ""];
    return value === undefined ? "-NOPERM no permission\r\n" : `*2\r\n${bulk(setting ?? "")}${bulk(value)}`;
  };
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

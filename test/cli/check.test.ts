/** `posthaste check`: good settings are fine, each bad one is named with its remedy, and the exit code says which it was. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { folderFindings } from "posthaste/check/folder.ts";
import { findingOf } from "posthaste/check/finding.ts";
import type { Finding } from "posthaste/check/finding.ts";
import { clockFinding, descriptorFinding, portFinding } from "posthaste/check/machine.ts";
import { readSettings } from "posthaste/check/settings.ts";
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { openFolder, spawnPosthaste, startServe } from "../e2e/posthaste-child.ts";

const MASTER_KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 7)).toString("base64");
const STORES = {
  REDIS_URL: "redis://127.0.0.1:6379",
  KAFKA_BROKERS: "127.0.0.1:9092",
  POSTHASTE_MASTER_KEY: MASTER_KEY,
};

/** What is not fine, as `level about`. */
function bad(findings: readonly Finding[]): readonly string[] {
  return findings.filter(({ level }) => level !== "fine").map(({ level, about }) => `${level} ${about}`);
}

function badIn(env: Readonly<Record<string, string>>): readonly string[] {
  return bad(readSettings(env).findings);
}

test("the defaults are fine, and a careful distributed installation too", () => {
  assert.deepEqual(badIn({}), []);
  const replicated = { KAFKA_REPLICATION: "3", KAFKA_MIN_ISR: "2", POSTHASTE_OPERATOR_KEY: "0123456789abcdef01234567" };
  assert.deepEqual(badIn({ ...STORES, ...replicated }), []);
});

test("each setting that a program would refuse is wrong, with what it must be", () => {
  assert.deepEqual(badIn({ PORT: "http", POSTHASTE_DATA: "~/data" }), ["wrong PORT", "wrong POSTHASTE_DATA"]);
  assert.deepEqual(badIn({ PORTAL_ORIGINS: "*", PORTAL_COLOUR: "red" }), [
    "wrong PORTAL_ORIGINS",
    "wrong PORTAL_COLOUR",
  ]);
  assert.deepEqual(badIn({ REDIS_URL: "redis://127.0.0.1" }), ["wrong KAFKA_BROKERS"]);
  assert.deepEqual(badIn({ ...STORES, POSTHASTE_MASTER_KEY: "" }), [
    "wrong POSTHASTE_MASTER_KEY",
    "wrong POSTHASTE_MASTER_KEY",
  ]);
  const { findings, config } = readSettings({ PORT: "http" });
  assert.deepEqual([config, findings[0]?.what], [null, "must be a port number from 0 to 65535"]);
});

test("what works and may not be meant is risky", () => {
  const risks: readonly (readonly [Readonly<Record<string, string>>, readonly string[]])[] = [
    [{ HOST: "0.0.0.0" }, ["risky HOST"]],
    [{ POSTHASTE_DTA: "x" }, ["risky POSTHASTE_DTA"]],
    [{ GATEWAY_PROCESSES: "2" }, ["wrong GATEWAY_PROCESSES"]],
    [{ LOG_LEVEL: "debug" }, ["risky LOG_LEVEL"]],
    [{ POSTHASTE_ALLOW_CIDRS: "10.0.0.0/8" }, ["risky POSTHASTE_ALLOW_CIDRS"]],
    [{ POSTHASTE_ALLOW_CIDRS: "0.0.0.0/0" }, ["wrong POSTHASTE_ALLOW_CIDRS", "risky POSTHASTE_ALLOW_CIDRS"]],
    [{ POSTHASTE_ALLOW_CIDRS: "169.254.169.254/32" }, ["wrong POSTHASTE_ALLOW_CIDRS"]],
    [{ POSTHASTE_OPERATOR_KEY: "a".repeat(24) }, ["wrong POSTHASTE_OPERATOR_KEY"]],
    [{ POSTHASTE_MASTER_KEY: Buffer.alloc(32).toString("base64") }, ["wrong POSTHASTE_MASTER_KEY"]],
    [
      { POSTHASTE_MASTER_KEY: MASTER_KEY, POSTHASTE_MASTER_KEY_PREVIOUS: MASTER_KEY },
      ["risky POSTHASTE_MASTER_KEY_PREVIOUS"],
    ],
    [STORES, ["risky KAFKA_REPLICATION"]],
    [{ ...STORES, KAFKA_REPLICATION: "2" }, ["risky KAFKA_MIN_ISR"]],
    [
      { ...STORES, REDIS_URL: "redis://redis.internal", KAFKA_BROKERS: "kafka.internal:9092", KAFKA_REPLICATION: "3" },
      ["risky REDIS_URL", "risky REDIS_URL", "risky KAFKA_TLS"],
    ],
  ];
  for (const [env, expected] of risks) assert.deepEqual(badIn(env), expected, JSON.stringify(env));
  for (const [env] of risks) {
    for (const { level, remedy } of readSettings(env).findings)
      assert.ok(level === "fine" || /^[A-Z].*[.?!]$/.test(remedy ?? ""), remedy ?? "");
  }
});

test("the data folder: who may read it and its keys, whether the master key is there and whole", () => {
  using folder = openFolder();
  const path = join(folder.path, "data");
  const found = (): readonly string[] =>
    bad(folderFindings(parseConfig({ POSTHASTE_DATA: path }))).map((text) => text.replace(`${path}/`, ""));
  assert.deepEqual(found(), []);
  mkdirSync(path, { mode: 0o700 });
  assert.deepEqual(found(), []);
  chmodSync(path, 0o755);
  assert.deepEqual(found(), ["risky POSTHASTE_DATA"]);
  chmodSync(path, 0o700);
  writeFileSync(join(path, "posthaste.db"), "");
  assert.deepEqual(found(), ["wrong master.key"]);
  writeFileSync(join(path, "master.key"), MASTER_KEY, { mode: 0o600 });
  assert.deepEqual(found(), []);
  chmodSync(join(path, "master.key"), 0o644);
  writeFileSync(join(path, "operator.key"), "key", { mode: 0o640 });
  assert.deepEqual(found(), ["wrong master.key", "wrong operator.key"]);
  rmSync(join(path, "operator.key"));
  writeFileSync(join(path, "master.key"), "short");
  chmodSync(join(path, "master.key"), 0o600);
  assert.deepEqual(found(), ["wrong master.key"]);
  assert.deepEqual(bad(folderFindings(parseConfig({ POSTHASTE_DATA: join(path, "master.key") }))), [
    "wrong POSTHASTE_DATA",
  ]);
});

test("descriptors and the clock", () => {
  const levels = [100, 1024, 100_000, Infinity].map((limit) => descriptorFinding(limit).level);
  assert.deepEqual(levels, ["wrong", "risky", "fine", "fine"]);
  assert.equal(clockFinding(new Date("1970-01-01T00:00:00Z")).level, "wrong");
  assert.equal(clockFinding(new Date("2030-01-01T00:00:00Z")).level, "fine");
});

test("the port: nothing there, a gateway that is ready, degraded or not ready, another program", async () => {
  let answer = "";
  const server = createServer((_request, response) => response.end(answer));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const config = parseConfig({ PORT: String(port) });
  for (const [text, level] of [
    ['{"status":"ready"}', "fine"],
    ['{"status":"ready","degraded":["Kafka is away"]}', "risky"],
    ['{"code":"store-unavailable","detail":"Redis is away.","status":503}', "wrong"],
    ["<html>", "risky"],
  ] as const) {
    answer = text;
    assert.equal((await portFinding(config, fetch)).level, level, text);
  }
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  assert.match((await portFinding(config, fetch)).what, /^nothing runs on/);
});

test("a sentence is split into what and remedy", () => {
  const split = (text: string) => ({ ...findingOf("wrong", "X", text), level: undefined, about: undefined });
  const of = (what: string, remedy: string | null) => ({ what, remedy, level: undefined, about: undefined });
  assert.deepEqual(split("X must be 1; `make` makes it"), of("must be 1", "`make` makes it."));
  assert.deepEqual(
    split("It is not there: at 127.0.0.1:1. Start it, or mend X."),
    of("It is not there: at 127.0.0.1:1", "Start it, or mend X."),
  );
  assert.deepEqual(split("X must be true or false"), of("must be true or false", null));
});

test("the command: 0 and 1, JSON lines, and a running serve beside it", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path);
  const env = { POSTHASTE_DATA: folder.path, PORT: new URL(serving.url).port };
  await using good = spawnPosthaste(["check"], env);
  assert.equal((await good.exited).code, 0, good.printed.stdout);
  assert.match(good.printed.stdout, /^ok {5}PORT: a gateway runs on \d+ and is ready$/m);
  assert.match(good.printed.stdout, /\n\n0 wrong, \d+ risky, \d+ fine\n$/);
  await using strict = spawnPosthaste(["check", "--strict"], { ...env, LOG_LEVEL: "debug" });
  assert.equal((await strict.exited).code, 1);
  await using json = spawnPosthaste(["check", "--json"], { ...env, POSTHASTE_MASTER_KEY: "c2hvcnQ=" });
  assert.equal((await json.exited).code, 1);
  const rows = json.printed.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Finding);
  assert.deepEqual(bad(rows), ["wrong POSTHASTE_MASTER_KEY"]);
  assert.ok(!json.printed.stdout.includes("c2hvcnQ="));
});

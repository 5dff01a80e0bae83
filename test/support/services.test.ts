/** The services that fault tests start for themselves: each starts, answers, breaks as asked, and is gone in the end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { RequestListener } from "node:http";
import { createServer, connect } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { openServices } from "./services.ts";
import { freePort } from "./services/free-ports.ts";
import { livingBrokers } from "./services/kafka-metadata.ts";
import { startKafka } from "./services/kafka.ts";
import { startRedisCluster } from "./services/redis-cluster.ts";
import { startSentinel } from "./services/redis-sentinel.ts";
import { startRedis } from "./services/redis.ts";
import { waitFor } from "./services/wait-for.ts";

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const answer = (isListening: boolean) => () => {
      socket.destroy();
      resolve(isListening);
    };
    socket.once("connect", answer(true)).once("error", answer(false));
  });
}

async function assertGone(...ports: number[]): Promise<void> {
  for (const port of ports) {
    await waitFor({
      fact: `port ${port} to be closed`,
      withinMs: 10_000,
      holds: async () => !(await listens(port)),
    });
  }
}

/** A program of this folder's, as a process of its own. */
function spawnBun(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [...args], {
    cwd: join(import.meta.dirname, "../.."),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const errors = text(child.stderr);
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on("exit", (code, signal) => resolve(code ?? signal));
  });
  return { child, ended, errors, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

test("startRedis() keeps what it acknowledged over kill -9 and a restart, behind its password", async () => {
  const redis = await startRedis({ password: "s3cret", conf: ["maxclients 77"] });
  try {
    assert.equal(redis.url, `redis://:s3cret@127.0.0.1:${redis.port}`);
    assert.equal(await redis.ask("CONFIG", "GET", "maxclients"), "maxclients\n77");
    assert.equal(await redis.ask("SET", "kept", "yes"), "OK");
    await redis.kill();
    assert.equal(await listens(redis.port), false);
    await redis.restart();
    assert.equal(await redis.ask("GET", "kept"), "yes");
    await redis.stop();
    assert.equal(await listens(redis.port), false);
  } finally {
    await redis[Symbol.asyncDispose]();
  }
  assert.equal(existsSync(redis.folder), false, "its folder is removed");
});

test("startRedis() says why a server did not start", async () => {
  await assert.rejects(
    startRedis({ conf: ["no-such-setting 1"] }),
    /ended before it was ready \(1\).*no-such-setting/s,
  );
});

test("freeze() leaves connections open and unanswered until thaw()", async () => {
  await using redis = await startRedis();
  redis.freeze();
  const answer = redis.ask("PING");
  assert.equal(await listens(redis.port), true);
  redis.thaw();
  assert.equal(await answer, "PONG");
});

test("startRedisCluster() serves all slots by three masters, and a replica takes the place of a killed one", async () => {
  await using cluster = await startRedisCluster();
  assert.deepEqual(await Promise.all(cluster.nodes.map((node) => node.ask("PING"))), Array(6).fill("PONG"));
  const [first, ...others] = await cluster.masters();
  assert.equal(others.length, 2);
  await first?.kill();
  await waitFor({
    fact: "a replica to be promoted",
    withinMs: 20_000,
    holds: async () => {
      const masters = await cluster.masters();
      return masters.length === 3 && masters.every(({ port }) => port !== first?.port);
    },
  });
});

test("startSentinel() names the master, and another one after it was killed", async () => {
  await using sentinel = await startSentinel();
  const first = await sentinel.master();
  assert.equal(first.port, sentinel.nodes[0]?.port);
  assert.equal(await first.ask("PING"), "PONG");
  await first.kill();
  await waitFor({
    fact: "a replica to be promoted",
    withinMs: 20_000,
    holds: async () => (await sentinel.master()).port !== first.port,
  });
  assert.match(await (await sentinel.master()).ask("ROLE"), /^master/);
});

test("startKafka() of three fences a killed broker and takes it back", async () => {
  await using kafka = await startKafka({ brokers: 3 });
  assert.equal(kafka.brokers.split(",").length, 3);
  await kafka.nodes[2]?.kill();
  await kafka.untilAlive([1, 2]);
  await kafka.nodes[2]?.restart();
  await kafka.untilAlive([1, 2, 3]);
});

test("the services command prints where Redis and Kafka are, and ends both on SIGTERM", async () => {
  const [redisPort, kafkaPort] = [await freePort(), await freePort()];
  const { child, ended, lines } = spawnBun(["test/support/services-main.ts"], {
    REDIS_PORT: String(redisPort),
    KAFKA_PORT: String(kafkaPort),
  });
  try {
    assert.equal((await lines.next()).value, `REDIS_URL=redis://127.0.0.1:${redisPort}`);
    assert.equal((await lines.next()).value, `KAFKA_BROKERS=127.0.0.1:${kafkaPort}`);
    assert.deepEqual(await livingBrokers(kafkaPort), [1]);
    child.kill("SIGTERM");
    assert.equal(await ended, 0);
    await assertGone(redisPort, kafkaPort);
  } finally {
    child.kill("SIGKILL");
  }
});

/** The services command where DOCKER_HOST leads to this engine; resolves with what it printed before its SIGTERM. */
async function servedBeside(
  engine: RequestListener,
): Promise<{ readonly lines: readonly string[]; readonly errors: string }> {
  const server = createHttpServer(engine).listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const env = { DOCKER_HOST: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` };
  const { child, ended, lines, errors } = spawnBun(["test/support/services-main.ts"], env);
  try {
    const said = [(await lines.next()).value ?? "", (await lines.next()).value ?? ""];
    const [, port] = /^KAFKA_BROKERS=127\.0\.0\.1:(\d+)$/.exec(said[1] ?? "") ?? [];
    assert.deepEqual(await livingBrokers(Number(port)), [1]);
    child.kill("SIGTERM");
    assert.equal(await ended, 0);
    return { lines: said, errors: await errors };
  } finally {
    child.kill("SIGKILL");
    server.closeAllConnections();
    server.close();
  }
}

test("a container engine that serves nothing is named, and this machine's own programs take its place", async () => {
  const { lines, errors } = await servedBeside((request, response) => {
    const isInfo = request.url?.endsWith("/info") === true;
    response.writeHead(isInfo ? 200 : 500, { "Content-Type": "application/json" });
    response.end(JSON.stringify(isInfo ? { ServerVersion: "1", OperatingSystem: "none" } : { message: "disk full" }));
  });
  assert.match(lines[0] ?? "", /^REDIS_URL=redis:\/\/127\.0\.0\.1:\d+$/);
  assert.match(
    errors,
    /^The container engine cannot serve the tests \(.*disk full.*\): this machine's own programs will\.$/m,
  );
});

test("a container engine that takes connections and says nothing is not waited for", async () => {
  const { lines, errors } = await servedBeside(() => {});
  assert.match(lines[0] ?? "", /^REDIS_URL=redis:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(errors, "");
});

test("what a process started ends with it, even when it is killed", async () => {
  const program = `
    import { startRedis } from "./test/support/services/redis.ts";
    const { port, folder } = await startRedis();
    console.log(JSON.stringify({ port, folder }));
    setInterval(() => {}, 1000);`;
  const { child, lines } = spawnBun(["-e", program]);
  try {
    const { port, folder } = JSON.parse((await lines.next()).value ?? "") as { port: number; folder: string };
    assert.equal(await listens(port), true);
    child.kill("SIGKILL");
    await assertGone(port);
    await waitFor({ fact: "the folder to be removed", withinMs: 10_000, holds: () => !existsSync(folder) });
  } finally {
    child.kill("SIGKILL");
  }
});

test("openServices() uses what the environment names, and says what is wrong with it", async () => {
  const server = createServer().listen({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => {
    server.once("listening", resolve);
  });
  const here = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const closed = `127.0.0.1:${await freePort()}`;
  try {
    const env = { REDIS_URL: `redis://${here}`, KAFKA_BROKERS: `${here},${closed}` };
    await using services = await openServices({ env });
    assert.deepEqual(services.env, env);
    const complaint = new RegExp(`KAFKA_BROKERS names ${closed}, where nothing answers`);
    await assert.rejects(openServices({ env: { ...env, KAFKA_BROKERS: closed } }), complaint);
  } finally {
    server.close();
  }
});

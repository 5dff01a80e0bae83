/** The seam `redis-commands` over a real Redis: what it promises of scripts, waits and messages, and of their ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CALLS_MAX } from "@posthaste/shared/drivers/redis/client/ioredis-calls.ts";
import type { OpenedRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import { openRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { COMMAND_MS_MAX, STALL_MS } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { withCode } from "../../contract/harness.ts";
import { waitFor } from "../../support/services/wait-for.ts";
import { openActor, openRedisProxy } from "./proxy.ts";
import { START_MS } from "../../support/samples.ts";

const NEVER = new AbortController().signal;
const REDIS_URL = process.env["REDIS_URL"] ?? "redis://127.0.0.1:1";

let script = 0;

/** A script that Redis has not seen before. */
function sampleScript(lua: string, returns: "text" | "bytes" = "text"): RedisScript {
  return { name: `test-${script++}`, lua: `-- ${randomName()}\n${lua}`, returns };
}

function randomName(): string {
  return Buffer.from(systemEntropy.bytes(8)).toString("hex");
}

function open(
  parts: { readonly url?: string; readonly clock?: Clock; readonly time?: "server" | "clock" } = {},
): OpenedRedis {
  const { url = REDIS_URL, clock = systemClock, time = "server" } = parts;
  return openRedis({ url, clock, entropy: systemEntropy, time, onFault: () => undefined });
}

test("run() gives keys, arguments and numbers to the script, and its reply back", async () => {
  await using redis = open();
  const reply = await redis.run(sampleScript("return {KEYS[1], ARGV[1], ARGV[2], #ARGV, false}"), ["k"], ["a", 12]);
  assert.deepEqual(reply, ["k", "a", "12", 2, null]);
});

test("run() carries bytes unchanged in both directions", async () => {
  await using redis = open();
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  const reply = await redis.run(sampleScript("return ARGV[1]", "bytes"), [], [bytes.subarray(1)]);
  assert.ok(reply instanceof Uint8Array);
  assert.deepEqual(Uint8Array.from(reply), bytes.subarray(1));
});

test("run() loads a script that Redis does not know, also when many ask for it at once", async () => {
  await using redis = open();
  const fresh = sampleScript("return tonumber(ARGV[1])");
  const replies = await Promise.all(Array.from({ length: 200 }, (_, index) => redis.run(fresh, [], [index])));
  assert.deepEqual(
    replies,
    Array.from({ length: 200 }, (_, index) => index),
  );
});

test("now is the server's time, or the clock's when that was asked for", async () => {
  await using onServer = open();
  const serverMs = Number(await onServer.run(sampleScript("return now"), [], []));
  assert.ok(Math.abs(serverMs - systemClock.now()) < 60_000);
  await using onClock = open({ clock: { ...systemClock, now: () => START_MS }, time: "clock" });
  assert.deepEqual(await onClock.run(sampleScript("return {now, ARGV[1]}"), [], ["first"]), [START_MS, "first"]);
});

test("what a script refuses keeps its text and is no trouble of the store", async () => {
  await using redis = open();
  const refusing = sampleScript('return redis.error_reply("ORDER is wrong")');
  for (let call = 0; call < 10; call++) {
    await assert.rejects(redis.run(refusing, [], []), { name: "Error", message: "ORDER is wrong" });
  }
  assert.equal(redis.isReachable(), true);
});

test("what the server refuses is store-unavailable", async () => {
  await using redis = open();
  const refused = sampleScript('return redis.error_reply("OOM command not allowed")');
  await assert.rejects(redis.run(refused, [], []), withCode("store-unavailable"));
});

test("a call that is not answered ends in time, and after some of them calls fail at once", async () => {
  await using actor = await openActor(() => "");
  const clock = createManualClock(START_MS);
  await using redis = open({ url: actor.url, clock });
  const calls = Array.from({ length: 5 }, () => redis.run(sampleScript("return 1"), [], []));
  const ended = Promise.allSettled(calls);
  await clock.advance(COMMAND_MS_MAX);
  for (const call of await ended) assert.ok(call.status === "rejected" && withCode("store-unavailable")(call.reason));
  assert.equal(redis.isReachable(), false);
  await assert.rejects(redis.run(sampleScript("return 1"), [], []), withCode("store-unavailable"));
  assert.equal(await redis.health(["any"]), "Redis (REDIS_URL) does not answer.");
});

test("a call with another way is given up while Redis is silent, the next at once, and both are asked again after it", async () => {
  await using proxy = await openRedisProxy();
  const clock = createManualClock(START_MS);
  await using redis = open({ url: proxy.url, clock });
  const key = `test-${randomName()}`;
  const count = sampleScript("redis.call('PEXPIRE', KEYS[1], 60000) return redis.call('INCR', KEYS[1])");
  const hedged = { ...count, silenceMsMax: STALL_MS } as const;
  await redis.run(count, [key], []);
  proxy.silence();
  const patient = redis.run(count, [key], []);
  const waiting = assert.rejects(redis.run(hedged, [key], []), withCode("store-unavailable"));
  assert.equal(redis.isReachable(), true);
  await clock.advance(STALL_MS);
  await waiting;
  assert.equal(redis.isReachable(), false);
  await assert.rejects(redis.run(hedged, [key], []), /said nothing/u);
  proxy.drop();
  await assert.rejects(patient, withCode("store-unavailable"));
  proxy.mend();
  await waitFor({
    fact: "Redis to be asked again",
    withinMs: 30_000,
    holds: () =>
      redis.run(hedged, [key], []).then(
        () => true,
        () => false,
      ),
  });
  assert.equal(redis.isReachable(), true);
});

test("calls past the bound are refused at once", async () => {
  await using actor = await openActor(() => "");
  const redis = open({ url: actor.url, clock: createManualClock(START_MS) });
  const one = sampleScript("return 1");
  const waiting = Promise.allSettled(Array.from({ length: CALLS_MAX }, () => redis.run(one, [], [])));
  await assert.rejects(redis.run(one, [], []), /Too many calls/u);
  await redis[Symbol.asyncDispose]();
  assert.ok((await waiting).every(({ status }) => status === "rejected"));
});

test("a call that waits for the connection is sent once there is one; one that was sent is never sent again", async () => {
  await using proxy = await openRedisProxy();
  await using redis = open({ url: proxy.url });
  const key = `test-${randomName()}`;
  const count = sampleScript("redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], 60000) return 1");
  let answered = 0;
  let refused = 0;
  for (let round = 0; round < 20; round++) {
    const call = redis.run(count, [key], []);
    if (round % 4 === 3) proxy.drop();
    await call.then(
      () => answered++,
      () => refused++,
    );
  }
  const counted = Number(await redis.run(sampleScript("return tonumber(redis.call('GET', KEYS[1]))"), [key], []));
  assert.equal(answered + refused, 20);
  assert.ok(answered >= 10 && counted >= answered && counted <= 20, `${answered} answered, ${counted} counted`);
});

test("waitForList() is true as soon as the list holds something, and leaves the list as it is", async () => {
  await using redis = open();
  const key = `test-${randomName()}`;
  const push = sampleScript("redis.call('PEXPIRE', KEYS[1], 60000) return redis.call('RPUSH', KEYS[1], 'a', 'b', 'c')");
  const waiting = redis.waitForList(key, 30_000, NEVER);
  await redis.run(push, [key], []);
  assert.equal(await waiting, true);
  assert.equal(await redis.waitForList(key, 30_000, NEVER), true);
  const range = sampleScript("return {redis.call('LRANGE', KEYS[1], 0, -1), redis.call('DEL', KEYS[1])}");
  assert.deepEqual(await redis.run(range, [key], []), [["a", "b", "c"], 1]);
});

test("waitForList() is false when its time is over or its signal aborted", async () => {
  await using redis = open();
  const key = `test-${randomName()}`;
  assert.equal(await redis.waitForList(key, 1, NEVER), false);
  const controller = new AbortController();
  const waiting = redis.waitForList(key, 30_000, controller.signal);
  controller.abort();
  assert.equal(await waiting, false);
  assert.equal(await redis.waitForList(key, 30_000, controller.signal), false);
});

test("waitForList() rejects when its connection breaks, and works again after", async () => {
  await using proxy = await openRedisProxy();
  await using redis = open({ url: proxy.url });
  const key = `test-${randomName()}`;
  assert.equal(await redis.waitForList(key, 1, NEVER), false);
  const waiting = redis.waitForList(key, 30_000, NEVER);
  const broken = assert.rejects(waiting, withCode("store-unavailable"));
  await new Promise<void>((resolve) => void setImmediate(resolve));
  proxy.drop();
  await broken;
  assert.equal(await redis.waitForList(key, 1, NEVER), false);
});

test("waitForList() on a connection that fell silent rejects some time after it should have ended", async () => {
  await using proxy = await openRedisProxy();
  const clock = createManualClock(START_MS);
  await using redis = open({ url: proxy.url, clock });
  const key = `test-${randomName()}`;
  assert.equal(await redis.waitForList(key, 1, NEVER), false);
  proxy.silence();
  const silent = assert.rejects(redis.waitForList(key, 1000, NEVER), withCode("store-unavailable"));
  await clock.advance(1000 + COMMAND_MS_MAX);
  await silent;
  proxy.mend();
  // The silent connection takes a moment to end: nobody answers its end.
  await waitFor({
    fact: "the list to be waited for on a new connection",
    withinMs: 10_000,
    holds: () =>
      redis.waitForList(key, 1, NEVER).then(
        (hasSomething) => !hasSomething,
        () => false,
      ),
  });
});

test("subscribe() hears what is published, tells of each connection, and hears again after one was lost", async () => {
  await using proxy = await openRedisProxy();
  await using redis = open({ url: proxy.url });
  await using publisher = open();
  const channel = `test-${randomName()}`;
  const heard: string[] = [];
  let connections = 0;
  let wake = (): void => undefined;
  const nextConnection = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  const first = nextConnection();
  const subscription = await redis.subscribe(
    channel,
    (message) => {
      heard.push(message);
      wake();
    },
    () => {
      connections++;
      wake();
    },
  );
  await first;
  const again = nextConnection();
  proxy.drop();
  await again;
  assert.equal(connections, 2);
  const message = nextConnection();
  await publisher.publish(channel, "after");
  await message;
  assert.deepEqual(heard, ["after"]);
  await subscription[Symbol.asyncDispose]();
});

test("health() asks also while calls fail at once, and what it finds ends that", async () => {
  await using redis = open();
  const refused = sampleScript('return redis.error_reply("OOM command not allowed")');
  for (let call = 0; redis.isReachable() && call < 100; call++) await redis.run(refused, [], []).catch(() => undefined);
  await assert.rejects(redis.run(sampleScript("return 1"), [], []), /refused the last calls/u);
  assert.equal(await redis.health([`test-${randomName()}`]), null);
  assert.equal(redis.isReachable(), true);
  assert.equal(await redis.run(sampleScript("return 1"), [], []), 1);
});

test("health() is null while Redis answers and takes writes", async () => {
  await using redis = open();
  assert.equal(await redis.health([`test-${randomName()}`]), null);
});

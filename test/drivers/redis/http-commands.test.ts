/** The calls of `redis-commands` that stand alone, over HTTP: on a real Redis behind the REST server, and on answers of every kind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDamage } from "@posthaste/shared/domain/errors.ts";
import { openHttpRedis } from "@posthaste/shared/drivers/redis/client/http-commands.ts";
import type { Fetch } from "@posthaste/shared/drivers/redis/client/http-exchange.ts";
import { ANSWER_BYTES_MAX } from "@posthaste/shared/drivers/redis/client/http-exchange.ts";
import { openRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import type { RedisRequests, RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { COMMAND_MS_MAX } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { withCode } from "../../contract/harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS } from "../../support/samples.ts";
import { openRest } from "../../support/upstash/open-rest.ts";

const ADDRESS = { url: "https://redis.example", token: "secret-token" };
const NAME = "REDIS_REST_URL";

interface Parts {
  readonly address?: { readonly url: string; readonly token: string };
  readonly fetch?: Fetch;
  readonly clock?: Clock;
  readonly time?: "server" | "clock";
}

function open({ address = ADDRESS, fetch: own = fetch, clock = systemClock, time = "server" }: Parts): RedisRequests {
  return openHttpRedis({ address, name: NAME, fetch: own, clock, time });
}

function randomName(): string {
  return Buffer.from(systemEntropy.bytes(8)).toString("hex");
}

/** A script that Redis has not seen before. */
function sampleScript(lua: string, returns: "text" | "bytes" = "text"): RedisScript {
  return { name: "test-http", lua: `-- ${randomName()}\n${lua}`, returns };
}

/** Answers each request with what `answer` gives for its command, and counts them. */
function answering(answer: (command: readonly unknown[]) => Response) {
  const commands: unknown[][] = [];
  const fake: Fetch = (_url, { body }) => {
    assert.ok(typeof body === "string");
    const command = JSON.parse(body) as unknown[];
    commands.push(command);
    return Promise.resolve(answer(command));
  };
  return { commands, fetch: fake };
}

const json = (body: unknown, status = 200): Response => new Response(JSON.stringify(body), { status });
const SCRIPT = sampleScript("return 1");

test("over HTTP run() gives keys, arguments and numbers to the script, and its reply back", async () => {
  await using rest = await openRest();
  await using redis = open({ address: rest });
  const script = sampleScript("return {KEYS[1], ARGV[1], ARGV[2], #ARGV, false, {'ü', 7}}");
  const reply = await redis.run(script, ["k"], ["a\0\u{1F98A}", 1_764_345_678_901]);
  assert.deepEqual(reply, ["k", "a\0\u{1F98A}", "1764345678901", 2, null, ["ü", 7]]);
});

test("over HTTP run() carries bytes unchanged in both directions, beside text that is no bytes", async () => {
  await using rest = await openRest();
  await using redis = open({ address: rest });
  const all = Uint8Array.from({ length: 256 }, (_, index) => index);
  const marked = new TextEncoder().encode('\uFEFF"text" \\ \u0000 \u{1F98A} Ã¿');
  const twice = Buffer.concat([all, marked, all]);
  for (const args of [[all], [marked], [new Uint8Array()], ["Ã¿", all, "Â\u0080", marked, twice, "end"]]) {
    const reply = await redis.run(sampleScript("return ARGV", "bytes"), [], args);
    const wanted = args.map((argument) => Buffer.from(argument as Uint8Array).toString("hex"));
    assert.ok(Array.isArray(reply));
    assert.deepEqual(
      reply.map((part: unknown) => Buffer.from(part as Uint8Array).toString("hex")),
      wanted,
    );
  }
});

test("over HTTP run() loads a script that Redis does not know, and asks once for one that it knows", async () => {
  await using rest = await openRest();
  await using redis = open({ address: rest });
  const fresh = sampleScript("return tonumber(ARGV[1])");
  assert.equal(await redis.run(fresh, [], [1]), 1);
  assert.equal(rest.requestCount(), 2);
  assert.equal(await redis.run(fresh, [], [2]), 2);
  assert.equal(rest.requestCount(), 3);
});

test("over HTTP now is the server's time, or the clock's when that was asked for, also beside bytes", async () => {
  await using rest = await openRest();
  await using onServer = open({ address: rest });
  const serverMs = Number(await onServer.run(sampleScript("return now"), [], []));
  assert.ok(Math.abs(serverMs - systemClock.now()) < 60_000);
  await using onClock = open({ address: rest, clock: { ...systemClock, now: () => START_MS }, time: "clock" });
  const script = sampleScript("return {now, #ARGV[1], ARGV[2]}");
  assert.deepEqual(await onClock.run(script, [], ["first", "second"]), [START_MS, 5, "second"]);
  assert.deepEqual(await onClock.run(script, [], [Uint8Array.of(255), "second"]), [START_MS, 1, "second"]);
});

test("over HTTP what a script refuses keeps its text, and what the server refuses is store-unavailable", async () => {
  await using rest = await openRest();
  await using redis = open({ address: rest });
  const refusing = sampleScript('return redis.error_reply("ORDER is wrong")');
  await assert.rejects(redis.run(refusing, [], []), { name: "Error", message: "ORDER is wrong" });
  const refused = sampleScript('return redis.error_reply("OOM command not allowed")');
  await assert.rejects(redis.run(refused, [], []), withCode("store-unavailable"));
  const key = `test-${randomName()}`;
  const wrong = sampleScript(
    "redis.call('SET', KEYS[1], 'x', 'PX', 60000) return redis.call('HGET', KEYS[1], 'field')",
  );
  await assert.rejects(redis.run(wrong, [key], []), isDamage);
  await using stranger = open({ address: { url: rest.url, token: "another" } });
  await assert.rejects(stranger.run(SCRIPT, [], []), withCode("store-unavailable"));
  assert.equal(await stranger.health(["any"]), `Redis (${NAME}) refuses commands (WRONGPASS).`);
});

test("over HTTP publish() reaches subscribers over TCP, and health() of a Redis that is well is null", async () => {
  await using rest = await openRest();
  await using redis = open({ address: rest });
  assert.equal(await redis.health(["any", "other"]), null);
  const url = process.env["REDIS_URL"] ?? "";
  await using overTcp = openRedis({ url, clock: systemClock, entropy: systemEntropy, time: "server", onFault() {} });
  const channel = `test-${randomName()}`;
  const heard = Promise.withResolvers<string>();
  await using _ = await overTcp.subscribe(channel, heard.resolve, () => undefined);
  await redis.publish(channel, "häl\nlo");
  assert.equal(await heard.promise, "häl\nlo");
});

test("a call that is not answered ends in time, was sent once, and holds up no other", async () => {
  const clock = createManualClock(START_MS);
  let sent = 0;
  await using redis = open({
    clock,
    fetch(_url, { signal }) {
      if (sent++ > 0) return Promise.resolve(json({ result: 1 }));
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("aborted")));
      });
    },
  });
  const unanswered = assert.rejects(redis.run(SCRIPT, [], []), /did not answer in time/u);
  assert.equal(await redis.run(SCRIPT, [], []), 1);
  await clock.advance(COMMAND_MS_MAX - 1);
  assert.equal(clock.timerCount(), 1);
  await clock.advance(1);
  await unanswered;
  assert.equal(sent, 2);
});

test("a script that has to be loaded has no more time than any other", async () => {
  const clock = createManualClock(START_MS);
  const signals = new Set<unknown>();
  await using redis = open({
    clock,
    fetch(_url, { signal }) {
      signals.add(signal);
      return Promise.resolve(json({ error: "NOSCRIPT No matching script." }, 400));
    },
  });
  await assert.rejects(redis.run(SCRIPT, [], []), { name: "Error", message: /^NOSCRIPT/u });
  assert.equal(signals.size, 1);
});

test("what is no answer of Redis is store-unavailable, whatever it is", async () => {
  const answers: readonly (() => Response)[] = [
    () => new Response("<html>Bad Gateway</html>", { status: 502 }),
    () => new Response(null, { status: 302, headers: { location: "https://elsewhere.example/" } }),
    () => json({ error: "upstream is away" }, 503),
    () => json({ error: "Unauthorized WRONGPASS" }, 403),
    () => json({ error: "ERR max requests limit exceeded. See the plan" }, 400),
    () => json({ error: "ERR DB capacity quota exceeded" }, 400),
    () => json({ result: "no base64!" }),
    () => json({ result: { map: true } }),
    () => json({ answer: 1 }),
    () => json([{ result: 1 }]),
    () => json(null),
    () => new Response("{}", { headers: { "content-length": String(ANSWER_BYTES_MAX + 1) } }),
    () => new Response(`{"result":"${"A".repeat(ANSWER_BYTES_MAX)}"}`),
  ];
  for (const answer of answers) {
    const { commands, fetch: fake } = answering(answer);
    await using redis = open({ fetch: fake });
    await assert.rejects(redis.run(SCRIPT, [], []), withCode("store-unavailable"));
    assert.equal(commands.length, 1);
  }
  await using away = open({ fetch: () => Promise.reject(new TypeError("connection refused")) });
  await assert.rejects(away.run(SCRIPT, [], []), withCode("store-unavailable"));
  assert.equal(await away.health(["any"]), `Redis (${NAME}) does not answer.`);
});

test("an answer of the largest size is read", async () => {
  const head = '{"result":"';
  const text = "A".repeat(ANSWER_BYTES_MAX - 16);
  await using redis = open({ fetch: () => Promise.resolve(new Response(`${head}${text}"}`)) });
  const reply = await redis.run(sampleScript("", "bytes"), [], []);
  assert.ok(reply instanceof Uint8Array);
  assert.equal(reply.length, (text.length / 4) * 3);
});

test("no error repeats the token or an argument", async () => {
  const answers = [
    json({ error: "OOM no room" }, 400),
    json({ error: "upstream" }, 503),
    new Response("no", { status: 500 }),
  ];
  for (const answer of answers) {
    await using redis = open({ fetch: () => Promise.resolve(answer) });
    const error: unknown = await redis.run(SCRIPT, [], ["payload-of-a-customer"]).catch((thrown: unknown) => thrown);
    let said = "";
    for (let at = error; at instanceof Error; at = at.cause) said += `${at.message}\n${at.stack ?? ""}`;
    assert.doesNotMatch(said, /secret-token|payload-of-a-customer/u);
  }
});

test("health() names a server that refuses writes, and takes an older one's refusal of the question for an answer", async () => {
  const healthOn = async (error: string): Promise<string | null> => {
    const { commands, fetch: fake } = answering(() => json({ error }, 400));
    await using redis = open({ fetch: fake });
    const health = await redis.health(["{s0}health"]);
    assert.deepEqual(commands, [["EVAL", "#!lua\nreturn 1", 1, "{s0}health"]]);
    return health;
  };
  assert.equal(
    await healthOn("READONLY You can't write against a read only replica."),
    `Redis (${NAME}) refuses writes (READONLY).`,
  );
  assert.equal(await healthOn("ERR Error compiling script (new function): unexpected symbol near '#'"), null);
});

test("once disposed no call is made", async () => {
  const { commands, fetch: fake } = answering(() => json({ result: 1 }));
  const redis = open({ fetch: fake });
  assert.equal(await redis.run(SCRIPT, [], []), 1);
  await redis[Symbol.asyncDispose]();
  await assert.rejects(redis.run(SCRIPT, [], []), withCode("store-unavailable"));
  assert.equal(commands.length, 1);
});

/** The REST server of the tests speaks as Upstash documents it, asked by plain requests and by Upstash's own client. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Redis as UpstashRedis } from "@upstash/redis";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { listen } from "../../support/receiver.ts";
import { openRest } from "../../support/upstash/open-rest.ts";
import { openRestRedis } from "../../support/upstash/rest-redis.ts";
import type { RestServer } from "../../support/upstash/rest-server.ts";
import { REQUEST_BYTES_MAX, openRestServer } from "../../support/upstash/rest-server.ts";

const REDIS_URL = process.env["REDIS_URL"] ?? "redis://127.0.0.1:1";

interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Status and body of the answer; `body` is sent as JSON unless it is bytes. */
async function ask({ url, token }: RestServer, { path = "/", method = "POST", body, headers = {} }: Ask) {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body: body instanceof Uint8Array ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

function freshKey(): string {
  return `test-rest-${Buffer.from(systemEntropy.bytes(8)).toString("hex")}`;
}

const BASE64 = { "upstash-encoding": "base64" };

test("a command in the body is answered with its result, or with 400 and the error", async () => {
  await using server = await openRest();
  const key = freshKey();
  assert.deepEqual(await ask(server, { body: ["SET", key, "1", "EX", 100] }), { status: 200, body: { result: "OK" } });
  assert.deepEqual(await ask(server, { body: ["MGET", key, `${key}:none`] }), {
    status: 200,
    body: { result: ["1", null] },
  });
  assert.deepEqual(await ask(server, { body: ["INCR", key] }), { status: 200, body: { result: 2 } });
  const refused = await ask(server, { body: ["HGET", key, "field"] });
  assert.equal(refused.status, 400);
  assert.match(JSON.stringify(refused.body), /^\{"error":"WRONGTYPE /u);
  assert.equal((await ask(server, { body: { command: "PING" } })).status, 400);
  assert.equal((await ask(server, { body: Buffer.from("[") })).status, 400);
});

test("without the token every path is answered 401, and another method than the four 405", async () => {
  await using server = await openRest();
  for (const path of ["/", "/pipeline", "/multi-exec", "/subscribe/channel", "/ping"]) {
    const answer = await ask(server, { path, body: ["PING"], headers: { authorization: "Bearer another" } });
    assert.deepEqual(answer, { status: 401, body: { error: "WRONGPASS invalid or missing auth token" } });
  }
  assert.equal((await ask(server, { path: "/ping", method: "DELETE" })).status, 405);
  const byQuery = await ask(server, { path: `/ping?_token=${server.token}`, headers: { authorization: "" } });
  assert.deepEqual(byQuery, { status: 200, body: { result: "PONG" } });
});

test("a command as a path takes the body as its last argument, byte for byte, and the query behind it", async () => {
  await using server = await openRest();
  const key = freshKey();
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  assert.equal((await ask(server, { path: `/set/${key}?EX=100`, body: bytes })).status, 200);
  const { body } = await ask(server, { path: `/get/${key}`, method: "GET", headers: BASE64 });
  assert.deepEqual(body, { result: Buffer.from(bytes).toString("base64") });
  assert.deepEqual((await ask(server, { body: ["TTL", key] })).body, { result: 100 });
});

test("in base64 every string is encoded but OK; else what is no UTF-8 is replaced", async () => {
  await using server = await openRest();
  const script = "return {ARGV[1], 1, {string.char(255)}, false}";
  const command = { body: ["EVAL", script, 0, "añ"] };
  assert.deepEqual((await ask(server, { ...command, headers: BASE64 })).body, {
    result: [Buffer.from("añ").toString("base64"), 1, ["/w=="], null],
  });
  assert.deepEqual((await ask(server, command)).body, { result: ["añ", 1, ["\uFFFD"], null] });
  assert.deepEqual((await ask(server, { body: ["SET", freshKey(), "x", "EX", "1"], headers: BASE64 })).body, {
    result: "OK",
  });
});

test("a pipeline answers each command by itself", async () => {
  await using server = await openRest();
  const key = freshKey();
  const body = [
    ["SET", key, "x", "EX", 100],
    ["INCR", key],
    ["SUBSCRIBE", "c"],
    ["STRLEN", key],
  ];
  const answer = await ask(server, { path: "/pipeline", body });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, [
    { result: "OK" },
    { error: "ERR value is not an integer or out of range" },
    { error: "ERR Command is not available: 'SUBSCRIBE'" },
    { result: 1 },
  ]);
});

test("a transaction answers each command, and one error when it is discarded as a whole", async () => {
  await using server = await openRest();
  const key = freshKey();
  const body = [
    ["SET", key, "x", "EX", 100],
    ["INCR", key],
    ["GET", key],
  ];
  assert.deepEqual(await ask(server, { path: "/multi-exec", body, headers: BASE64 }), {
    status: 200,
    body: [{ result: "OK" }, { error: "ERR value is not an integer or out of range" }, { result: "eA==" }],
  });
  const discarded = await ask(server, { path: "/multi-exec", body: [["SET", key, "y"], ["NO-SUCH-COMMAND"]] });
  assert.equal(discarded.status, 400);
  assert.deepEqual((await ask(server, { body: ["GET", key] })).body, { result: "x" });
});

test("what was published is streamed to subscribers as server-sent events", async () => {
  await using server = await openRest();
  const channel = freshKey();
  const leaving = new AbortController();
  const headers = { authorization: `Bearer ${server.token}`, accept: "text/event-stream" };
  const stream = await fetch(`${server.url}/subscribe/${channel}`, { method: "POST", headers, signal: leaving.signal });
  assert.equal(stream.headers.get("content-type"), "text/event-stream");
  let heard = "";
  const decoder = new TextDecoder();
  const reader = stream.body?.getReader();
  assert.ok(reader !== undefined);
  const until = async (text: string): Promise<void> => {
    while (!heard.includes(text)) heard += decoder.decode((await reader.read()).value, { stream: true });
  };
  await until(`data: subscribe,${channel},1\n\n`);
  assert.deepEqual((await ask(server, { path: `/publish/${channel}/hello` })).body, { result: 1 });
  await until(`data: message,${channel},hello\n\n`);
  leaving.abort();
});

test("a request beyond the largest size is refused, and so is a Redis that is gone", async () => {
  await using server = await openRest();
  const large = await ask(server, { body: ["ECHO", "x".repeat(REQUEST_BYTES_MAX)] });
  assert.equal(large.status, 400);
  assert.match(JSON.stringify(large.body), /max request size exceeded/u);
  const redis = await openRestRedis(REDIS_URL);
  await using alone = await openRestServer({ redis, token: "another" });
  await redis[Symbol.asyncDispose]();
  const away = await ask(alone, { body: ["PING"], headers: { authorization: "Bearer another" } });
  assert.equal(away.status, 503);
});

test("Upstash's own client is served: values, pipelines, transactions and scripts with its flags", async () => {
  await using server = await openRest();
  const redis = new UpstashRedis({
    url: server.url,
    token: server.token,
    enableTelemetry: false,
    retry: { retries: 0 },
  });
  const key = freshKey();
  await redis.set(key, { of: ["json", "ü"] }, { ex: 100 });
  assert.deepEqual(await redis.get(key), { of: ["json", "ü"] });
  const [exists, length] = await redis.pipeline().exists(key).strlen(key).exec();
  assert.deepEqual([exists, length], [1, 20]);
  await redis.multi().hset(`${key}:hash`, { field: "value" }).expire(`${key}:hash`, 100).exec();
  assert.deepEqual(await redis.hgetall(`${key}:hash`), { field: "value" });
  const flagged = "#!lua flags=allow-key-locking\nreturn ARGV[1]";
  assert.equal(await redis.eval(flagged, [], ["word"]), "word");
  await assert.rejects(redis.evalsha("0".repeat(40), [], []), /NOSCRIPT/u);
});

test("Upstash's own client does not carry bytes: why the driver has its own", async () => {
  await using server = await openRest();
  const config = {
    url: server.url,
    token: server.token,
    enableTelemetry: false,
    automaticDeserialization: false,
  } as const;
  const redis = new UpstashRedis({ ...config, retry: { retries: 0 } });
  const bytes = Uint8Array.of(0, 128, 255);
  assert.equal(await redis.eval("return ARGV[1]", [], [bytes]), '{"0":0,"1":128,"2":255}');
  assert.equal(await redis.eval("return string.char(128, 255)", [], []), "\uFFFD\uFFFD");
});

test("Upstash's own client sends a command twice with its retries off: why the driver has its own", async () => {
  let requests = 0;
  const server = createServer((request) => {
    requests += 1;
    request.socket.destroy();
  });
  await using listening = await listen(server, () => server.closeAllConnections());
  const redis = new UpstashRedis({ url: new URL(listening.url).origin, token: "any", retry: false });
  await assert.rejects(redis.ping());
  assert.equal(requests, 2);
});

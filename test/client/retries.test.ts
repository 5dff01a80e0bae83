/** Which calls are tried again, when, with what, and how often. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createClient, NoAnswerError, ProblemError } from "@posthaste/client/public.ts";
import type { Client } from "@posthaste/client/public.ts";
import type { ScriptedApi, Step } from "./scripted-api.ts";
import { json, openScriptedApi, problem, PUBLISHED } from "./scripted-api.ts";

const EVENT = { type: "invoice.paid", data: { total: 12.5 } };
const LONG_MS = 3_600_000;

/** The call's end while time passes; its error, if it ends with one. */
async function endOf<Value>({ clock }: ScriptedApi, call: Promise<Value>): Promise<Value | Error> {
  const settled = call.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  await clock.advance(LONG_MS);
  return settled;
}

async function problemOf(api: ScriptedApi, call: Promise<unknown>): Promise<ProblemError> {
  const end = await endOf(api, call);
  assert.ok(end instanceof ProblemError, String(end));
  return end;
}

for (const [what, first] of [
  ["408", problem(408, "request-timeout")],
  ["425", new Response(null, { status: 425 })],
  ["429", problem(429, "rate-limited")],
  ["409 request-in-flight", problem(409, "request-in-flight")],
  ["500", problem(500, "internal")],
  ["502 of a proxy", new Response("<html>", { status: 502 })],
  ["503", problem(503, "store-unavailable")],
  ["a broken connection", new TypeError("fetch failed")],
  ["silence", "silence"],
  ["a good status without JSON", new Response("<html>", { status: 200 })],
] as const satisfies readonly (readonly [string, Step])[]) {
  test(`a publish goes on after ${what}, with the same bytes under the same key`, async () => {
    const api = openScriptedApi([first, json(202, PUBLISHED, { "idempotent-replayed": "true" })]);
    assert.deepEqual(await endOf(api, api.client.publish(EVENT)), { ...PUBLISHED, isReplayed: true });
    assert.equal(api.sent.length, 2);
    const [one, other] = api.sent;
    assert.equal(one?.body, JSON.stringify(EVENT));
    assert.equal(other?.body, one.body);
    for (const { headers } of api.sent) assert.equal(headers.get("idempotency-key"), '"key-1"');
    assert.equal(api.clock.timerCount(), 0);
  });
}

for (const [status, code] of [
  [400, "invalid-json"],
  [401, "unauthenticated"],
  [403, "missing-scope"],
  [404, "not-found"],
  [409, "conflict"],
  [409, "id-conflict"],
  [413, "body-too-large"],
  [422, "validation-failed"],
  [501, "transfer-coding-not-supported"],
  [505, "version-not-supported"],
] as const) {
  test(`${status} ${code} is told at once`, async () => {
    const api = openScriptedApi([problem(status, code, { "retry-after": "1" })]);
    const error = await problemOf(api, api.client.publish(EVENT));
    assert.deepEqual([error.status, error.code, error.tries, error.idempotencyKey], [status, code, 1, "key-1"]);
    assert.equal(error.message, `${status} ${code}: A detail.`);
    assert.equal(error.traceId, "4bf92f3577b34da6a3ce929d0e0e4736");
  });
}

test("a redirect is not followed, so that the key goes to nobody else, and is no answer of Posthaste", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(307, { location: "/elsewhere" }).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = createClient({ url: `http://127.0.0.1:${port}`, apiKey: "phk_1" });
  await assert.rejects(client.publish(EVENT), {
    name: "ProblemError",
    status: 307,
    code: "unexpected-answer",
    tries: 1,
  });
  assert.deepEqual(asked, ["/v1/events"]);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("a 2xx without what a 202 says is no promise", async () => {
  const api = openScriptedApi([json(200, {}), json(200, { data: [] })]);
  assert.equal((await problemOf(api, api.client.publish(EVENT))).code, "unexpected-answer");
  assert.equal((await problemOf(api, api.client.publishBatch([EVENT]))).code, "unexpected-answer");
});

test("each publish has a key of its own, or the one that it is given, written as a string of Structured Fields", async () => {
  const api = openScriptedApi([json(202, PUBLISHED), json(202, PUBLISHED), json(202, PUBLISHED)]);
  await endOf(api, api.client.publish(EVENT));
  await endOf(api, api.client.publish(EVENT));
  await endOf(api, api.client.publish(EVENT, { idempotencyKey: 'a"b\\c' }));
  const keys = api.sent.map(({ headers }) => headers.get("idempotency-key"));
  assert.deepEqual(keys, ['"key-1"', '"key-2"', '"a\\"b\\\\c"']);
  assert.ok((await endOf(api, api.client.publish(EVENT, { idempotencyKey: "a b" }))) instanceof TypeError);
});

test("waits double from a quarter of a second, half of each by chance, up to eight seconds", async () => {
  const waits = async (random: number): Promise<readonly number[]> => {
    const steps = Array.from({ length: 9 }, () => problem(503, "stopping"));
    const api = openScriptedApi(steps, { triesMax: 9, totalMs: LONG_MS, random: () => random });
    await problemOf(api, api.client.publish(EVENT));
    return api.sent.slice(1).map(({ atMs }, index) => atMs - (api.sent[index]?.atMs ?? 0));
  };
  assert.deepEqual(await waits(0), [125, 250, 500, 1000, 2000, 4000, 4000, 4000]);
  assert.deepEqual(await waits(0.5), [187.5, 375, 750, 1500, 3000, 6000, 6000, 6000]);
});

test("Retry-After is obeyed, in seconds and as a date", async () => {
  const api = openScriptedApi([
    problem(429, "rate-limited", { "retry-after": "7" }),
    problem(503, "overloaded", { "retry-after": "Sat, 31 Jan 2026 12:00:20 GMT" }),
    problem(503, "overloaded", { "retry-after": "soon" }),
    json(202, PUBLISHED),
  ]);
  api.clock.stepWall(Date.parse("2026-01-31T12:00:00Z") - api.clock.now());
  await endOf(api, api.client.publish(EVENT));
  assert.deepEqual(
    api.sent.map(({ atMs }) => atMs),
    [0, 7000, 20_000, 20_500],
  );
});

test("no more tries than allowed are made, and the error tells how many", async () => {
  const refused = (): Response => problem(503, "overloaded", { "retry-after": "2" });
  const api = openScriptedApi([refused(), refused(), refused()], { triesMax: 3 });
  const error = await problemOf(api, api.client.publish(EVENT));
  assert.deepEqual([error.code, error.tries, error.retryAfterS, api.sent.length], ["overloaded", 3, 2, 3]);
});

test("no wait ends past the total time: the call ends before it", async () => {
  const api = openScriptedApi([problem(429, "rate-limited", { "retry-after": "61" })]);
  const begunMs = api.clock.monotonic();
  const call = api.client.publish(EVENT).catch((error: unknown) => error);
  await api.clock.settle();
  assert.ok((await call) instanceof ProblemError);
  assert.equal(api.clock.monotonic(), begunMs);
});

test("a try has its own time, and the last one what is left of the total", async () => {
  const api = openScriptedApi(["silence", "silence", "silence"], { tryMs: 10_000, totalMs: 15_000 });
  const end = await endOf(api, api.client.publish(EVENT));
  assert.ok(end instanceof NoAnswerError);
  assert.deepEqual([end.tries, end.idempotencyKey], [2, "key-1"]);
  assert.deepEqual(
    api.sent.map(({ atMs }) => atMs),
    [0, 10_125],
  );
  assert.match(end.message, /^no answer after 2 tries: no whole answer within 4875 ms$/);
});

test("an answer whose body never ends is given up like one that never comes", async () => {
  const endless = (): Response => new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
  const api = openScriptedApi([endless(), json(202, PUBLISHED)]);
  assert.deepEqual(await endOf(api, api.client.publish(EVENT)), { ...PUBLISHED, isReplayed: false });
});

test("an answer of more than 32 MiB is no answer", async () => {
  const piece = new Uint8Array(1024 * 1024);
  let pieces = 0;
  const large = new Response(
    new ReadableStream({
      pull: (controller) => {
        pieces++;
        controller.enqueue(piece);
      },
    }),
  );
  const api = openScriptedApi([large], { triesMax: 1 });
  const end = await endOf(api, api.client.events.get("evt_1"));
  assert.ok(end instanceof NoAnswerError);
  assert.match(end.message, /more than 33554432 bytes/);
  assert.ok(pieces < 40, `${pieces} MiB were read`);
});

test("a signal ends a call before it, during a try and between tries, with its reason", async () => {
  const reason = new Error("the user left");
  const aborted = openScriptedApi([]);
  assert.equal(await endOf(aborted, aborted.client.publish(EVENT, { signal: AbortSignal.abort(reason) })), reason);
  assert.equal(aborted.sent.length, 0);
  for (const first of ["silence", problem(503, "stopping")] as const) {
    const api = openScriptedApi([first]);
    const leaving = new AbortController();
    const call = api.client.publish(EVENT, { signal: leaving.signal }).catch((error: unknown) => error);
    await api.clock.settle();
    leaving.abort(reason);
    assert.equal(await call, reason);
    assert.deepEqual([api.sent.length, api.clock.timerCount()], [1, 0]);
  }
});

/** Calls by whether twice is the same as once. */
const repeatable: readonly (readonly [string, (client: Client) => Promise<unknown>])[] = [
  ["events.list", ({ events }) => events.list()],
  ["events.resend", ({ events }) => events.resend("evt_1")],
  ["events.cancel", ({ events }) => events.cancel("evt_1")],
  ["endpoints.update", ({ endpoints }) => endpoints.update("ep_1", { paused: true })],
  ["endpoints.delete", ({ endpoints }) => endpoints.delete("ep_1")],
  ["deadLetters.delete", ({ deadLetters }) => deadLetters.delete("dlv_1")],
];
const once: typeof repeatable = [
  ["endpoints.create", ({ endpoints }) => endpoints.create({ url: "https://example.com/" })],
  ["endpoints.rotateSecret", ({ endpoints }) => endpoints.rotateSecret("ep_1")],
  ["endpoints.test", ({ endpoints }) => endpoints.test("ep_1")],
  ["deadLetters.replay", ({ deadLetters }) => deadLetters.replay("dlv_1")],
  ["deadLetters.replayAll", ({ deadLetters }) => deadLetters.replayAll({})],
  ["apiKeys.create", ({ apiKeys }) => apiKeys.create({ name: "shop" })],
];

for (const [name, call] of repeatable) {
  test(`${name} goes on after a broken connection and a 500`, async () => {
    const api = openScriptedApi([new TypeError("reset"), problem(500, "internal"), json(200, { data: [] })]);
    const end = await endOf(api, call(api.client));
    assert.ok(!(end instanceof Error), String(end));
    assert.equal(api.sent.length, 3);
    const keys = new Set(api.sent.map(({ headers }) => headers.get("idempotency-key")));
    assert.deepEqual([...keys], [name === "events.resend" ? '"key-1"' : null]);
  });
}

for (const [name, call] of once) {
  test(`${name} goes on only when it is certain that nothing was done`, async () => {
    for (const step of [new TypeError("reset"), problem(500, "internal"), problem(503, "store-unavailable")]) {
      const api = openScriptedApi([step]);
      assert.ok((await endOf(api, call(api.client))) instanceof Error);
      assert.equal(api.sent.length, 1);
    }
    const refused = [problem(429, "rate-limited"), problem(503, "overloaded"), problem(503, "stopping")];
    const api = openScriptedApi([...refused, json(200, {})]);
    assert.deepEqual(await endOf(api, call(api.client)), {});
  });
}

test("what a try without an answer may have removed is gone", async () => {
  const api = openScriptedApi([new TypeError("reset"), problem(404, "not-found"), problem(404, "not-found")]);
  assert.equal(await endOf(api, api.client.endpoints.delete("ep_1")), undefined);
  assert.equal((await problemOf(api, api.client.endpoints.delete("ep_1"))).status, 404);
});

test("events of a batch that a store did not take are sent again with it, under its key", async () => {
  const failed = { status: 503, problem: { status: 503, code: "store-unavailable", detail: "A detail." } };
  const taken = { status: 202, ...PUBLISHED };
  const wrong = { status: 422, problem: { status: 422, code: "validation-failed", detail: "A detail." } };
  const api = openScriptedApi([
    json(200, { data: [taken, failed, wrong] }),
    json(200, { data: [taken, taken, wrong] }),
  ]);
  const answer = await endOf(api, api.client.publishBatch([EVENT, EVENT, EVENT]));
  assert.deepEqual(answer, { results: [taken, taken, wrong], isReplayed: false });
  assert.deepEqual(
    api.sent.map(({ headers }) => headers.get("idempotency-key")),
    ['"key-1"', '"key-1"'],
  );
  const end = openScriptedApi([json(200, { data: [failed] })], { triesMax: 1 });
  assert.deepEqual(await endOf(end, end.client.publishBatch([EVENT])), { results: [failed], isReplayed: false });
});

test("an id that would lead to another path is not sent", async () => {
  const api = openScriptedApi([]);
  for (const id of ["..", ".", "", "a/b", "a?b", "a%2fb", "a".repeat(129)]) {
    assert.ok((await endOf(api, api.client.events.get(id))) instanceof TypeError, id);
  }
  assert.equal(api.sent.length, 0);
});

test("options that are wrong are named", () => {
  const good = { url: "https://api.test/base/", apiKey: "phk_1" };
  for (const [options, named] of [
    [{ url: "api.test" }, /^TypeError: url /],
    [{ url: "ftp://api.test" }, /^TypeError: url /],
    [{ url: "https://user:pass@api.test" }, /^TypeError: url /],
    [{ url: "https://api.test/?a=1" }, /^TypeError: url /],
    [{ apiKey: "" }, /^TypeError: apiKey /],
    [{ apiKey: "phk_1\r\nx: y" }, /^TypeError: apiKey /],
    [{ triesMax: 0 }, /^TypeError: triesMax /],
    [{ triesMax: 21 }, /^TypeError: triesMax /],
    [{ tryMs: Number.NaN }, /^TypeError: tryMs /],
    [{ totalMs: 3_600_001 }, /^TypeError: totalMs /],
  ] as const) {
    assert.throws(() => createClient({ ...good, ...options }), named);
  }
});

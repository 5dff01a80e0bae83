/** What only a gateway at the edge has to show, in a real workerd: that requests are alone, and what it refuses. And how Deno's begins. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { Answer } from "./posthaste-child.ts";
import { call } from "./posthaste-child.ts";
import { openReceiver } from "../support/receiver.ts";
import { EDGES, openEdgeHarness } from "./edge-harness.ts";

const EVENT = { type: "edge.tried", priority: "HIGH", data: 1 } as const;
const OTHERS = 8;

test("in workerd the first of several concurrent requests hits its deadline, and the others are served, then and later", async () => {
  await using edge = await openEdgeHarness({ processors: 0 });
  const { proxy, deployment } = edge;
  await using worker = await edge.startWorker();
  const publish = (type: string): Promise<Answer> =>
    call(worker.url, "/v1/events", { ...EVENT, type }, deployment.operatorKey);
  const held = Promise.withResolvers<void>();
  proxy.onCommand = (command) => {
    if (!command.includes("edge.first")) return "pass";
    held.resolve();
    return "hold";
  };
  const first = publish("edge.first");
  await held.promise;
  const others = await Promise.all(Array.from({ length: OTHERS }, (_, index) => publish(`edge.other-${index}`)));
  assert.deepEqual(
    others.map(({ status }) => status),
    others.map(() => 202),
  );
  const late = await first;
  assert.deepEqual([late.status, late.body["code"]], [503, "store-unavailable"]);
  assert.equal((await publish("edge.later")).status, 202);
});

test("in workerd requests of a new instance whose first look-up hangs are served all the same", async () => {
  await using edge = await openEdgeHarness({ processors: 0 });
  await using worker = await edge.startWorker();
  const held = Promise.withResolvers<void>();
  let isFirst = true;
  edge.proxy.onCommand = () => {
    if (!isFirst) return "pass";
    isFirst = false;
    held.resolve();
    return "hold";
  };
  const publish = (): Promise<Answer> => call(worker.url, "/v1/events", EVENT, edge.deployment.operatorKey);
  const first = publish();
  await held.promise;
  const others = await Promise.all(Array.from({ length: OTHERS }, publish));
  assert.deepEqual(
    others.map(({ status }) => status),
    others.map(() => 202),
  );
  assert.equal((await first).status, 503);
});

for (const silence of ["hangs", "is not there"] as const) {
  test(`while Redis ${silence}, the edge answers 503 with Retry-After within its time, and keeps nothing`, async () => {
    await using edge = await openEdgeHarness({ processors: 0 });
    const env = silence === "hangs" ? {} : { UPSTASH_REDIS_REST_URL: "http://127.0.0.1:1" };
    await using worker = await edge.startWorker(env);
    const key = edge.deployment.operatorKey;
    if (silence === "hangs") {
      // A key that is known, so that it comes as far as the append.
      assert.equal((await call(worker.url, "/v1/events", EVENT, key)).status, 202);
      edge.proxy.onCommand = () => "hold";
    }
    for (const priority of ["HIGH", "MEDIUM", "LOW"]) {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      const body = JSON.stringify({ ...EVENT, type: "edge.away", priority });
      const answer = await fetch(`${worker.url}/v1/events`, { method: "POST", headers, body });
      assert.deepEqual(
        [answer.status, Number(answer.headers.get("retry-after")) > 0],
        [503, true],
        JSON.stringify(await answer.json()),
      );
    }
    const { body } = await edge.deployment.ask(0, "/v1/events?type=edge.away");
    assert.deepEqual(body["data"], []);
  });
}

test("what the edge does not do is 501 not-at-edge, and neither a crash nor silence", async () => {
  await using edge = await openEdgeHarness({ processors: 0 });
  await using worker = await edge.startWorker();
  const key = edge.deployment.operatorKey;
  const ask = (path: string, body?: unknown): Promise<Answer> => call(worker.url, path, body, key);
  const endpoint = await ask("/v1/endpoints", { url: "http://127.0.0.1:9/" });
  assert.equal(endpoint.status, 201, JSON.stringify(endpoint.body));
  const of = `/v1/endpoints/${String(endpoint.body["id"])}`;
  const event = await ask("/v1/events", EVENT);
  const refused = [
    await ask(`${of}/test`, {}),
    await ask("/v1/dead-letters"),
    await ask("/v1/dead-letters/dlv_01hzzzzzzzzzzzzzzzzzzzzzzz"),
    await ask("/v1/dead-letters/replay", {}),
    await ask("/v1/quarantine"),
    await ask("/v1/tail"),
    await ask("/metrics"),
  ];
  assert.deepEqual(
    refused.map(({ status, body }) => [status, body["code"]]),
    refused.map(() => [501, "not-at-edge"]),
  );
  const answered = [
    await ask(of),
    await ask("/v1/endpoints"),
    await ask(`${of}/stats`),
    await ask(`${of}/attempts`),
    await ask("/v1/api-keys"),
    await ask("/v1/events"),
    await ask(`/v1/events/${String(event.body["id"])}`),
    await ask(`/v1/events/${String(event.body["id"])}/why?endpoint=${String(endpoint.body["id"])}`),
    await ask("/livez"),
    await ask("/readyz"),
  ];
  assert.deepEqual(
    answered.map(({ status }) => status),
    answered.map(() => 200),
    JSON.stringify(answered.filter(({ status }) => status !== 200)),
  );
});

const WRONG = {
  "another number of shards": { REDIS_SHARDS: "4" },
  "another master key": { POSTHASTE_MASTER_KEY: Buffer.alloc(32, 7).toString("base64") },
  "another token": { UPSTASH_REDIS_REST_TOKEN: "not-the-token-at-all" },
  "an address that is none": { UPSTASH_REDIS_REST_URL: "redis://127.0.0.1:6379" },
  "no master key": { POSTHASTE_MASTER_KEY: "" },
} as const;
const SAID = {
  "another number of shards": "REDIS_SHARDS",
  "another master key": "POSTHASTE_MASTER_KEY",
  "another token": "WRONGPASS",
  "an address that is none": "UPSTASH_REDIS_REST_URL",
  "no master key": "POSTHASTE_MASTER_KEY",
} as const satisfies Record<keyof typeof WRONG, string>;

test("with wrong settings the edge answers 503, and its log names what is wrong and no secret", async () => {
  await using edge = await openEdgeHarness({ processors: 0 });
  const { operatorKey } = edge.deployment;
  for (const [what, env] of Object.entries(WRONG)) {
    await using worker = await edge.startWorker(env);
    const answer = await call(worker.url, "/v1/events", EVENT, operatorKey);
    assert.deepEqual([what, answer.status, answer.body["code"]], [what, 503, "store-unavailable"]);
    await worker.end("SIGTERM");
    const printed = worker.printed();
    assert.ok(printed.includes(SAID[what as keyof typeof WRONG]), `${what}: ${printed}`);
    const secrets = [operatorKey, "not-the-token-at-all", edge.proxy.token];
    assert.deepEqual(
      secrets.filter((secret) => `${printed}${JSON.stringify(answer.body)}`.includes(secret)),
      [],
    );
  }
});

test("Deno Deploy's entry names a setting that is wrong, and a port that is taken, each in one line, and ends", async () => {
  const settings = {
    POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64"),
    UPSTASH_REDIS_REST_URL: "http://127.0.0.1:1",
    UPSTASH_REDIS_REST_TOKEN: "a-token",
  };
  await using taken = await openReceiver((_, response) => void response.end());
  const { port } = new URL(taken.url);
  const said: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ PORT: "abc" }, /^gateway: PORT must be .+$/m],
    [{ PORT: "99999" }, /^gateway: PORT must be .+$/m],
    [{ UPSTASH_REDIS_REST_TOKEN: "" }, /^gateway: UPSTASH_REDIS_REST_TOKEN is missing: .+$/m],
    [{ POSTHASTE_MASTER_KEY: "short" }, /^gateway: POSTHASTE_MASTER_KEY .+$/m],
    [
      { PORT: port },
      new RegExp(`^gateway: cannot listen on 127.0.0.1:${port} since port ${port} is in use .+ PORT .+$`, "m"),
    ],
  ];
  for (const [env, line] of said) {
    await assert.rejects(EDGES["Deno Deploy's entry"]({ ...settings, ...env }), (error: Error) => {
      assert.match(error.message, line);
      assert.ok(!/^ +at /m.test(error.message), `no stack: ${error.message}`);
      return true;
    });
  }
});

test("an exact limit holds for a gateway on Bun and one in workerd together", async () => {
  await using edge = await openEdgeHarness({ processors: 0 });
  await using worker = await edge.startWorker();
  const [gateway] = edge.deployment.gateways;
  assert.ok(gateway !== undefined);
  const limited = { name: "limited", scopes: ["publish"], rate_limit: { limit: 10, window_ms: 3_600_000 } };
  const made = await edge.deployment.ask(0, "/v1/api-keys", { ...limited, tenant: "default" });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const key = String(made.body["key"]);
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      call(index % 2 === 0 ? gateway.url : worker.url, "/v1/events", EVENT, key),
    ),
  );
  const statuses = Map.groupBy(answers, ({ status }) => status);
  assert.deepEqual([statuses.get(202)?.length, statuses.get(429)?.length], [10, 30]);
});

test("a key whose policy is approximate is limited in workerd, by counters in place of a log", async () => {
  await using edge = await openEdgeHarness({ processors: 0 });
  await using worker = await edge.startWorker();
  const rate = { limit: 5, window_ms: 3_600_000, policy: "approximate" };
  const limited = { name: "loose", scopes: ["publish"], rate_limit: rate, tenant: "default" };
  const made = await edge.deployment.ask(0, "/v1/api-keys", limited);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  let commands = "";
  edge.proxy.onCommand = (command) => {
    commands += command;
    return "pass";
  };
  const publish = (): Promise<Answer> => call(worker.url, "/v1/events", EVENT, String(made.body["key"]));
  const answers = await Promise.all(Array.from({ length: 15 }, publish));
  const granted = answers.filter(({ status }) => status === 202).length;
  // An hour may end meanwhile.
  assert.ok(granted >= 5 && granted <= 10, `${granted} granted`);
  assert.equal(answers.filter(({ status }) => status === 429).length, 15 - granted);
  assert.ok(commands.includes("approximate:") && !commands.includes("limit-subjects"));
});

test("in workerd an event is held against the schema that a gateway with TCP was given, and the worker may give one itself", async () => {
  await using edge = await openEdgeHarness({ processors: 0 });
  const { operatorKey: key, gateways } = edge.deployment;
  const put = async (url: string, name: string, schema: object): Promise<number> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const body = JSON.stringify({ schema });
    return (await fetch(`${url}/v1/event-types/${name}`, { method: "PUT", headers, body })).status;
  };
  assert.equal(await put(gateways[0]?.url ?? "", "edge.listed", { type: "string", pattern: "^(?:a|b)+$" }), 201);
  await using worker = await edge.startWorker();
  const publish = (url: string, type: string, data: unknown): Promise<Answer> =>
    call(url, "/v1/events", { ...EVENT, type, data }, key);
  assert.equal((await publish(worker.url, "edge.listed", "abba")).status, 202);
  const refused = await publish(worker.url, "edge.listed", "abc");
  assert.deepEqual([refused.status, refused.body["code"]], [422, "validation-failed"]);
  assert.equal(await put(worker.url, "edge.own", { type: "integer" }), 201);
  assert.equal((await publish(worker.url, "edge.own", "a")).status, 422, "who made it knows it at once");
});

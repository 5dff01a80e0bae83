/**
 * What answers tell: nothing of the inside, whatever is thrown there, and nothing at length of what the caller sent. Over
 * all routes, found by the router's own table, with each input that a route takes.
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createRoutes } from "@posthaste/gateway/app.ts";
import type { RouteDeps } from "@posthaste/gateway/app.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { rowDamaged } from "@posthaste/shared/drivers/sqlite/row-damage.ts";
import { storeError } from "@posthaste/shared/drivers/sqlite/store-error.ts";
import { storeUnavailable as kafkaUnavailable } from "@posthaste/shared/drivers/kafka/client.ts";
import { toError } from "@posthaste/shared/drivers/redis/client/ioredis-calls.ts";
import {
  recordDamaged,
  storeUnavailable as redisUnavailable,
} from "@posthaste/shared/drivers/redis/client/redis-faults.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { seededEntropy } from "../support/ambient.ts";
import { START_MS } from "../support/samples.ts";
import type { Answer } from "../support/gateway-harness.ts";
import { openGatewayHarness, textAt } from "../support/gateway-harness.ts";

/** The tail has no end, so its head is asked for. */
const STREAM = "/v1/tail";
const routes = createRoutes({} as RouteDeps).map(({ method, path }) => ({
  method: path === STREAM ? "HEAD" : method,
  path,
}));
const open = ["/livez", "/healthz", "/readyz", "/metrics"].map((path) => ({ method: "GET", path }));
const ID = /:(?:id|name)/;

/** A problem of ours is smaller than this, whatever came: a title, a sentence, and twenty places at most. */
const PROBLEM_BYTES_MAX = 20_000;
const HEADER_BYTES_MAX = 600;

/** Words that only the inside has: files, stacks, addresses, products and their versions. */
const inner =
  /\/(?:srv|work|home|usr|var|tmp|app|proc)\/|node_modules|\.[jt]s:\d|\bat \w+ \(|SELECT|SQLITE|errno|ECONN|10\.9\.8\.7|inmost|TypeError|\bBun\b|\bHono\b|\bnode:/;
/** Names of the stores and of what is in them: an operator's, who reads them in the log and on /readyz. */
const stores = /redis|kafka|sqlite|data folder|\bWAL\b|\btopics?\b|\bscript\b|\bkey in\b/i;

function assertTellsNothing(answer: Answer, of: string): void {
  assert.doesNotMatch(answer.text, inner, of);
  for (const [name, value] of answer.headers) {
    assert.doesNotMatch(value, inner, of);
    assert.ok(value.length <= HEADER_BYTES_MAX, `${of}: ${name} has ${value.length} characters`);
    assert.doesNotMatch(name, /^(?:server|x-powered-by|via)$/);
  }
  if (answer.status >= 400)
    assert.ok(answer.text.length <= PROBLEM_BYTES_MAX, `${of}: ${answer.text.length} characters`);
}

/** What they throw is for whoever starts a program or copies a database, and for the model of a log in the simulation. */
const OPENING: ReadonlySet<string> = new Set([
  "drivers/sqlite/database.ts",
  "drivers/sqlite/copy-hold.ts",
  "drivers/memory/partition-log.ts",
  "drivers/memory/partition-log-partition.ts",
]);

const SECRET = "connect ECONNREFUSED 10.9.8.7:6379, SELECT inmost FROM /srv/inmost.db at f (/srv/app/x.ts:12)";
const sqliteError = (errcode: number) => Object.assign(new Error(SECRET), { code: "ERR_SQLITE_ERROR", errcode });

/** What the drivers throw, made by their own code where it makes it. */
const faults: Readonly<Record<string, () => unknown>> = {
  "an Error": () => new Error(SECRET),
  "a TypeError": () => new TypeError(SECRET),
  "a text": () => SECRET,
  "a disk that is full": () => storeError(sqliteError(13)),
  "a disk that fails": () => storeError(sqliteError(10)),
  "a mistake in our SQL": () => storeError(sqliteError(1)),
  "Kafka away": () => kafkaUnavailable("the cluster does not answer", new Error(SECRET)),
  "Redis away": () => redisUnavailable("Redis does not answer", new Error(SECRET)),
  "Redis that refuses": () => toError(Object.assign(new Error(`LOADING ${SECRET}`), { name: "ReplyError" })),
  "a script that fails": () => toError(Object.assign(new Error(`ERR ${SECRET}`), { name: "ReplyError" })),
  "a key of Redis that is damaged": () => recordDamaged("A key in Redis has the wrong type", new Error(SECRET)),
  "a row of SQLite that is damaged": () => rowDamaged("The row of SQLite does not read back", new Error(SECRET)),
  "a refusal with a cause": () => new PosthasteError("overloaded", "Too much waits.", new Error(SECRET)),
};

/** All ports throw; keys are still found, so that the request gets as far as it can. */
function failing(drivers: Drivers, fault: () => unknown): Drivers {
  const thrown = (): never => {
    throw fault();
  };
  const broken = (port: object, kept: readonly string[]): object =>
    new Proxy(port, {
      get: (target, name) =>
        kept.includes(String(name)) ? Reflect.get(target, name) : () => Promise.resolve().then(thrown),
    });
  const ports = Object.entries(drivers).map(([name, port]: [string, unknown]) => {
    if (typeof port !== "object" || port === null) return [name, port];
    return [name, broken(port, name === "apiKeys" ? ["find"] : [])];
  });
  const health = () => Promise.resolve().then(thrown);
  return { ...(Object.fromEntries(ports) as unknown as Drivers), health, degraded: health };
}

const bodyOf = (path: string): object => {
  if (path === "/v1/events") return { type: "a", data: 1, id: "x", priority: "HIGH" };
  if (path === "/v1/events/batch")
    return {
      events: [
        { type: "a", data: 1 },
        { type: "a", data: 2, id: "y" },
      ],
    };
  if (path === "/v1/endpoints") return { url: "https://a.example/" };
  return path === "/v1/api-keys" ? { name: "a" } : {};
};

/** Of nothing that is there, and of the form that its route looks for. */
function wellFormedId(path: string): string {
  const kind = path.startsWith("/v1/endpoints") ? "ep" : path.startsWith("/v1/events") ? "evt" : "key";
  const id = newId(kind, START_MS, seededEntropy(1));
  return path.startsWith("/v1/dead-letters") ? id.replace("key_", "dlv_") : id;
}

for (const [name, fault] of Object.entries(faults)) {
  test(`no route tells what ${name} says, and the log does`, async () => {
    await using harness = await openGatewayHarness({ wrap: (drivers) => failing(drivers, fault) });
    let failures = 0;
    for (const { method, path } of [...routes, ...open]) {
      const body = method === "GET" || method === "DELETE" ? {} : { body: bodyOf(path) };
      const at = path.replace(ID, wellFormedId(path));
      const answer = await harness.call(method, at, { ...body, headers: { "idempotency-key": "k1" } });
      assertTellsNothing(answer, `${method} ${path}`);
      assert.doesNotMatch(answer.text, stores, `${method} ${path}`);
      if (answer.status === 503 && path !== "/readyz") assert.match(answer.text, /Try again in \d+ s|Too much waits/);
      if (answer.status >= 500) failures += 1;
    }
    // Every route but the tail and the portal's links, which ask no store, and those that say that the process lives; and one for /readyz.
    assert.equal(failures, routes.length - 2 + 1);
    if (name === "a text") return;
    assert.match(JSON.stringify(harness.logged), /10\.9\.8\.7/);
  });
}

/** Where an error is made whose one sentence goes to the log and to the caller alike. */
const PLAIN_ERROR = /new PosthasteError\(\s*"[a-z-]+",\s*("[^"]*"|`[^`]*`|\{\s*detail:[^}]*)/g;

test("no driver names a store in the sentence that a caller reads", () => {
  const shared = fileURLToPath(new URL("../../shared/", import.meta.url));
  const files = readdirSync(shared, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  assert.ok(files.length > 200);
  const sentences = files
    .filter((file) => !file.includes("node_modules") && !OPENING.has(file))
    .flatMap((file) => {
      const found = readFileSync(join(shared, file), "utf8").matchAll(PLAIN_ERROR);
      return Array.from(found, ([, sentence = ""]) => `${file}: ${sentence.split("logged:")[0]}`);
    });
  assert.ok(sentences.length > 10);
  assert.deepEqual(
    sentences.filter((sentence) => stores.test(sentence.slice(sentence.indexOf(": ")))),
    [],
  );
});

const LONG = "x".repeat(9000);
const hostileIds = [
  "..%2f..%2fetc%2fpasswd",
  "%00",
  "%ff%fe",
  "'%20OR%201=1--",
  "%0d%0aset-cookie:a=b",
  "{{7*7}}",
  "%3Cscript%3E",
  LONG.slice(0, 3000),
];
const hostileQueries = [
  `?${LONG.slice(0, 4000)}=1`,
  `?limit=${"9".repeat(3000)}`,
  `?cursor=${"A".repeat(3000)}`,
  `?cursor=${encodeURIComponent(Buffer.from('{"a":1}').toString("base64url"))}`,
  "?since=%00&until=%ff",
  "?tenant=%2e%2e%2f",
  `?tenant=${"t".repeat(3000)}`,
  "?type='--",
  `?${Array.from({ length: 400 }, (_, nth) => `p${nth}=1`).join("&")}`,
  "?a=%E0%A4%A",
];
const hostileBodies: readonly unknown[] = [
  { [LONG]: 1 },
  Object.fromEntries(Array.from({ length: 900 }, (_, nth) => [`${"n".repeat(60)}${nth}`, 1])),
  { type: LONG, id: LONG, tenant: LONG, priority: LONG, timestamp: LONG, deliver_at: LONG, data: 1 },
  { events: Array.from({ length: 900 }, () => ({ type: LONG.slice(0, 60) + "..", id: "\u0000" })) },
  { url: `https://${"h".repeat(3000)}.example/`, event_types: [LONG], headers: { [LONG]: LONG }, secret: LONG },
  { url: "http://169.254.169.254/latest/meta-data" },
  { url: `javascript:${LONG}` },
  { name: LONG, scopes: [LONG], expires_at: LONG, rate_limit: { [LONG]: 1 } },
  { since: LONG, until: LONG, status: LONG, cursor: LONG, endpoint_id: LONG, type: LONG, state: LONG },
  `{"${LONG}":1,"${LONG}":2}`,
  `{"a":${"[".repeat(9000)}`,
  `\u001b[31m${LONG}`,
];
const hostileHeaders = ["idempotency-key", "traceparent", "content-type", "ce-type", "ce-specversion", "accept"];

for (const { method, path } of routes) {
  test(`${method} ${path}: whatever is sent, the answer is small, civil and silent about the inside`, async () => {
    await using harness = await openGatewayHarness();
    const endpoint = await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } });
    const real = path.replace(ID, path.startsWith("/v1/endpoints") ? textAt(endpoint.json, "id") : "evt_x");
    const takesBody = method === "POST" || method === "PATCH";
    const paths = [
      ...(ID.test(path) ? hostileIds.map((id) => path.replace(ID, id)) : []),
      ...hostileQueries.map((query) => real + query),
    ];
    const wishes = [
      ...paths.map((at) => ({ at, wish: takesBody ? { body: {} } : {} })),
      ...(takesBody ? hostileBodies.map((body) => ({ at: real, wish: { body } })) : []),
      ...hostileHeaders.map((header) => ({
        at: real,
        wish: { body: takesBody ? {} : undefined, headers: { [header]: LONG } },
      })),
      { at: real, wish: { key: LONG } },
      { at: real, wish: { key: "phk_'--" } },
    ];
    for (const { at, wish } of wishes) {
      const answer = await harness.call(method, at, wish);
      assert.ok(answer.status < 500, answer.text);
      assertTellsNothing(answer, at.slice(0, 80));
    }
    assert.ok(JSON.stringify(harness.logged).length < 60_000);
    assert.doesNotMatch(JSON.stringify(harness.logged), /x{1000}/);
  });
}

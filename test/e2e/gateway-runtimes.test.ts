/** The same gateway on each runtime, before one processor on Bun: what it promises does not depend on who runs it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { buildNode } from "@posthaste/gateway/main/build-node.ts";
import type { Command } from "posthaste/program.ts";
import { Webhook } from "standardwebhooks";

import { assertDocumented, DOCUMENT } from "../support/documented-answers.ts";
import { denoProgram, NODE_20, NODE_24, requireRuntimes } from "../support/other-runtimes.ts";
import { openReceiver } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openRest } from "../support/upstash/open-rest.ts";
import { EDGES } from "./edge-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { call } from "./posthaste-child.ts";

const ROOT = join(import.meta.dirname, "../..");
const entry = (name: string): string => join(ROOT, "gateway/main", name);

const BUNDLE_FOLDER = await mkdtemp(join(tmpdir(), "posthaste-bundle-"));
after(() => rm(BUNDLE_FOLDER, { recursive: true, force: true }));
/** Where nothing else lies that it could load. */
const BUNDLE = join(BUNDLE_FOLDER, "node.js");
await writeFile(BUNDLE, await buildNode());

const RUNTIMES: Readonly<Record<string, Command>> = {
  Bun: [process.execPath, entry("bun.ts")],
  "Node 24": [NODE_24, entry("node.ts")],
  "Node 24, by the file for older ones": [NODE_24, BUNDLE],
  "Node 20": [NODE_20, BUNDLE],
  Deno: denoProgram(entry("deno.ts")),
};
const WITHIN_MS = 30_000;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;

interface Got {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function openRecorder() {
  const gotById = new Map<string, Got>();
  const receiver = await openReceiver((request, response, body) => {
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    gotById.set(headers["webhook-id"] ?? "", { headers, body: body.toString() });
    response.writeHead(200).end();
  });
  return { ...receiver, gotById };
}

type Recorder = Awaited<ReturnType<typeof openRecorder>>;

for (const [runtime, gatewayCommand] of Object.entries(RUNTIMES)) {
  test(`${runtime}: events of each priority, a key's limit, idempotency, problems, and an end in order`, async () => {
    requireRuntimes(gatewayCommand[0]);
    await using receiver = await openRecorder();
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1, gatewayCommand });
    const [gateway] = harness.gateways;
    assert.ok(gateway !== undefined);
    await tryGateway(gateway.url, harness.operatorKey, receiver);
    await lookAround(gateway.url, harness.operatorKey);
    await leaveIt(gateway.url);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    assert.ok(/^posthaste_events_accepted_total\{[^}]*priority="HIGH"[^}]*\} 1$/m.test(metrics), "HIGH is counted");
    assert.deepEqual(await gateway.end("SIGTERM"), { code: 0, signal: null }, gateway.printed().slice(-2000));
  });
}

for (const [runtime, startEdge] of Object.entries(EDGES)) {
  test(`${runtime}, over HTTP alone: events of each priority, a key's limit, idempotency, problems`, async () => {
    await using receiver = await openRecorder();
    await using rest = await openRest();
    const shared = { POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64"), POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8" };
    // The gateway with TCP makes the operator's key; it is asked nothing.
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env: shared });
    await using edge = await startEdge({
      ...shared,
      UPSTASH_REDIS_REST_URL: rest.url,
      UPSTASH_REDIS_REST_TOKEN: rest.token,
      REDIS_PREFIX: `${harness.prefix}:`,
    });
    await tryGateway(edge.url, harness.operatorKey, receiver);
    await leaveIt(edge.url);
    assert.equal((await fetch(`${edge.url}/metrics`)).status, 501);
  });
}

const SAID = [
  "",
  "GET /re",
  "GET /readyz HTTP/1.1\r\nx-note: a",
  "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n",
  "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
  "POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
  "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "no such protocol\r\n\r\n",
  `GET /readyz HTTP/1.1\r\nhost: x\r\nx-large: ${"x".repeat(40_000)}\r\n\r\n`,
];

/** By the dashboard: in by its form, and what was delivered stands on the overview. */
async function lookAround(url: string, key: string): Promise<void> {
  const { status, headers } = await fetch(`${url}/dashboard/sign-in`, {
    method: "POST",
    redirect: "manual",
    headers: { origin: url },
    body: new URLSearchParams({ key }),
  });
  assert.equal(status, 303);
  const cookie = headers.get("set-cookie")?.split(";", 1)[0] ?? "";
  const overview = async () => await (await fetch(`${url}/dashboard`, { headers: { cookie } })).text();
  // Counts are written a few times a second.
  await waitFor({
    fact: "what was delivered to be counted on the overview",
    withinMs: WITHIN_MS,
    holds: async () => /[1-9]\d* accepted, [1-9]\d* delivered/.test(await overview()),
  });
  assert.match(await overview(), /every store answers[^]*<strong>HIGH<\/strong>/);
  const plot = await (await fetch(`${url}/dashboard/plot.js`)).text();
  assert.match(plot, /^\/\* uPlot\nThe MIT License[^]*Copyright[^]*var uPlot=function[^]*data-plot/);
  assert.match(
    await (await fetch(`${url}/dashboard/endpoints/new`, { headers: { cookie } })).text(),
    /Headers of its own/,
  );
}

/** Callers that leave at any point, in order or not, take nobody along. Runtimes differ in what they tell of such a connection. */
async function leaveIt(url: string): Promise<void> {
  const port = Number(new URL(url).port);
  for (const said of SAID) {
    for (const leave of ["end", "resetAndDestroy"] as const) {
      const socket = connect({ port, host: "127.0.0.1" });
      const left = new Promise((resolve) => socket.on("error", resolve).on("close", resolve));
      await new Promise<void>((resolve) => socket.once("connect", resolve));
      await new Promise<void>((resolve) => void socket.write(said, () => resolve()));
      socket.resume();
      socket[leave]();
      await left;
      const { status } = await fetch(`${url}/readyz`);
      assert.equal(status, 200, `after ${JSON.stringify(said.slice(0, 80))} and ${leave}`);
    }
  }
}

async function tryGateway(url: string, operatorKey: string, receiver: Recorder): Promise<void> {
  const post = async (path: string, body: string, headers: Readonly<Record<string, string>> = {}) => {
    const auth = { authorization: `Bearer ${operatorKey}`, "content-type": "application/json" };
    const answer = await fetch(url + path, { method: "POST", headers: { ...auth, ...headers }, body });
    const text = await answer.text();
    assertDocumented({ method: "POST", path }, { status: answer.status, headers: answer.headers, text });
    return { status: answer.status, headers: answer.headers, body: JSON.parse(text) as Record<string, unknown> };
  };

  const endpoint = await post("/v1/endpoints", JSON.stringify({ url: receiver.url }));
  assert.equal(endpoint.status, 201, JSON.stringify(endpoint.body));
  const webhook = new Webhook(String(endpoint.body["secret"]));
  for (const priority of PRIORITIES) {
    const event = JSON.stringify({ type: "runtime.tried", priority, data: { text: "grüße ☕" } });
    const { status, body } = await post("/v1/events", event, { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` });
    assert.equal(status, 202, JSON.stringify(body));
    const id = String(body["id"]);
    await waitFor({ fact: `${priority} to arrive`, withinMs: WITHIN_MS, holds: () => receiver.gotById.has(id) });
    const got = receiver.gotById.get(id);
    assert.ok(got !== undefined);
    const verified = webhook.verify(got.body, got.headers) as { readonly data: unknown };
    assert.deepEqual(verified.data, { text: "grüße ☕" });
    assert.equal(got.headers["traceparent"]?.slice(3, 35), TRACE);
    await waitFor({
      fact: `${priority} to be shown as delivered`,
      withinMs: WITHIN_MS,
      holds: async () => (await call(url, `/v1/events/${id}`, undefined, operatorKey)).body["state"] === "delivered",
    });
  }

  const once = JSON.stringify({ type: "runtime.once", data: 1 });
  const named = { "idempotency-key": "the-same" };
  const [first, again] = [await post("/v1/events", once, named), await post("/v1/events", once, named)];
  assert.deepEqual([first.status, again.status], [202, 202]);
  assert.equal(again.body["id"], first.body["id"]);
  const other = await post("/v1/events", JSON.stringify({ type: "runtime.other", data: 1 }), named);
  assert.deepEqual([other.status, other.body["code"]], [422, "idempotency-mismatch"]);

  const limited = { name: "limited", scopes: ["publish"], rate_limit: { limit: 5, window_ms: 3_600_000 } };
  const key = await post("/v1/api-keys", JSON.stringify({ ...limited, tenant: "default" }));
  assert.equal(key.status, 201, JSON.stringify(key.body));
  const authorization = `Bearer ${String(key.body["key"])}`;
  const answers = await Promise.all(Array.from({ length: 12 }, () => post("/v1/events", once, { authorization })));
  assert.equal(answers.filter(({ status }) => status === 202).length, 5);
  const refused = answers.filter(({ status }) => status === 429);
  assert.equal(refused.length, 7);
  assert.ok(refused.every(({ headers }) => Number(headers.get("retry-after")) > 0));

  const problems = [
    await post("/v1/events", "{", {}),
    await post("/v1/events", once, { authorization: "Bearer nobody-knows-this-key-of-some-length" }),
    await post("/v1/events", JSON.stringify({ type: "no spaces", data: 1 })),
    await post("/v1/events", JSON.stringify({ type: "a.b", data: "x".repeat(300_000) })),
    await post("/v1/nothing-here", "{}"),
  ];
  assert.deepEqual(
    problems.map(({ status, headers }) => `${status} ${headers.get("content-type")?.split(";")[0]}`),
    [400, 401, 422, 413, 404].map((status) => `${status} application/problem+json`),
  );
  const described = await fetch(`${url}/openapi.json`);
  assert.equal(
    await described.text(),
    JSON.stringify(DOCUMENT),
    "every runtime describes the same API by the same bytes",
  );
  assert.equal((await fetch(`${url}/docs`)).status, 200);
  const { status: readiness } = await fetch(`${url}/readyz`);
  assert.equal(readiness, 200);
}

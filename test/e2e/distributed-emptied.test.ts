/**
 * A Redis that lost everything while retries wait in Kafka: they are delivered once their endpoints are known again, and none
 * ends as deleted because nobody could tell. New events wait with them, and none goes to nobody.
 */
import assert from "node:assert/strict";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { RedisServer } from "../support/services/redis.ts";
import { startRedis } from "../support/services/redis.ts";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openReceiver } from "../support/receiver.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const EVENTS = 60;
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;
const WITHIN_MS = 100_000;
/** Longer than any of this takes, as often as it may be. */
const RETRY = { delays_s: [0, ...Array.from({ length: 49 }, () => 4)] };

/** Refuses everything until it is `well`. */
async function openPatient() {
  const state = { isWell: false };
  /** A second time: it was in the retry queue by then, and of HIGH nothing is left in Redis. */
  const triedAgain = new Set<string>();
  const taken = new Set<string>();
  const receiver = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    if (request.headers["posthaste-attempt"] !== "1") triedAgain.add(id);
    if (state.isWell) taken.add(id);
    // A status that speaks against no endpoint, so that each retry comes at its own time.
    response.writeHead(state.isWell ? 204 : 404).end();
  });
  return { ...receiver, state, triedAgain, taken };
}

async function publish(harness: DistributedHarness, count: number): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (let at = 0; at < count; at++) {
    const { status, body } = await harness.ask(harness.gateways.length - 1, "/v1/events", {
      type: "a.b",
      priority: PRIORITIES[at % PRIORITIES.length],
      data: { at },
    });
    assert.equal(status, 202, JSON.stringify(body));
    ids.add(String(body["id"]));
  }
  return ids;
}

function untilAll(fact: string, ids: ReadonlySet<string>, where: ReadonlySet<string>): Promise<void> {
  return waitFor({ fact, withinMs: WITHIN_MS, holds: () => ids.isSubsetOf(where) });
}

async function killAll(harness: DistributedHarness): Promise<void> {
  const programs = [...harness.gateways.splice(0), ...harness.processors.splice(0)];
  await Promise.all(programs.map((program) => program.end("SIGKILL")));
}

async function startAll(harness: DistributedHarness): Promise<void> {
  await Promise.all([harness.add("gateway"), harness.add("processor")]);
}

/** What Redis keeps is in folders beside its configuration and log. */
function dataOf(redis: RedisServer): readonly string[] {
  return readdirSync(redis.folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** A new one in its place, which knows nothing. */
async function replaceRedis(redis: RedisServer, copyTo: string): Promise<void> {
  await redis.kill();
  for (const name of dataOf(redis)) {
    cpSync(join(redis.folder, name), join(copyTo, name), { recursive: true });
    rmSync(join(redis.folder, name), { recursive: true });
  }
  await redis.restart();
}

async function restoreRedis(redis: RedisServer, copy: string): Promise<void> {
  await redis.kill();
  for (const name of dataOf(redis)) rmSync(join(redis.folder, name), { recursive: true });
  cpSync(copy, redis.folder, { recursive: true });
  await redis.restart();
}

function nothingEndedAsDeleted(harness: DistributedHarness): void {
  for (const program of harness.processors) {
    assert.doesNotMatch(program.printed(), /"event":"delivery\.(?:dead|filtered)"/);
  }
}

/** Retries of an endpoint wait in Kafka. */
async function openWaiting(redis: RedisServer, receiverUrl: string, triedAgain: ReadonlySet<string>) {
  const harness = await openDistributedHarness({ gateways: 1, processors: 1, env: { REDIS_URL: redis.url } });
  const created = await harness.ask(0, "/v1/endpoints", { url: receiverUrl, retry: RETRY });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const ids = await publish(harness, EVENTS);
  await untilAll("each event to be tried again", ids, triedAgain);
  return { harness, ids };
}

async function readyOf(url: string): Promise<string> {
  return await (await fetch(`${url}/readyz`)).text();
}

test("retries survive a FLUSHALL: processes that live write the directory back", async () => {
  await using redis = await startRedis();
  await using receiver = await openPatient();
  const { harness, ids } = await openWaiting(redis, receiver.url, receiver.triedAgain);
  await using _ = harness;
  await redis.ask("FLUSHALL");
  const after = await publish(harness, 6);
  receiver.state.isWell = true;
  await untilAll("all of them to be delivered", ids.union(after), receiver.taken);
  nothingEndedAsDeleted(harness);
  assert.match(await readyOf(harness.gateways[0]?.url ?? ""), /"degraded":\["Redis was emptied/);
});

test("a new Redis while every process was down: retries and new events wait until the back-up is restored", async () => {
  await using redis = await startRedis();
  using copy = openTemporaryFolder("redis-copy");
  await using receiver = await openPatient();
  const { harness, ids } = await openWaiting(redis, receiver.url, receiver.triedAgain);
  await using _ = harness;
  const made = await harness.ask(0, "/v1/api-keys", { name: "of before", scopes: ["publish"] });
  const { key } = made.body as { readonly key: string };
  await killAll(harness);
  await replaceRedis(redis, copy.path);
  await startAll(harness);
  receiver.state.isWell = true;
  const after = await publish(harness, 6);
  const [processor] = harness.processors;
  assert.ok(processor !== undefined);
  // What is still in the new Redis goes with it when the back-up takes its place.
  const isPutAside = async (): Promise<boolean> =>
    /posthaste_queue_depth\{[^}]*queue="high"[^}]*\} 0\b/.test(await (await fetch(`${processor.url}/metrics`)).text());
  await waitFor({ fact: "events of HIGH to wait in the retry queue", withinMs: WITHIN_MS, holds: isPutAside });
  assert.match(await readyOf(processor.url), /"degraded":\["Redis was emptied/);
  const keyed = () => harness.ask(0, "/v1/events", { type: "a.b", data: {} }, key);
  assert.equal((await keyed()).status, 503, "whether a key was there before nobody can tell");
  nothingEndedAsDeleted(harness);
  await killAll(harness);
  await restoreRedis(redis, copy.path);
  await startAll(harness);
  assert.equal((await keyed()).status, 202);
  await untilAll("all of them to be delivered", ids.union(after), receiver.taken);
  nothingEndedAsDeleted(harness);
});

test("without a back-up, retries end with the true reason, and a replay goes to the endpoint that was made again", async () => {
  await using redis = await startRedis();
  using copy = openTemporaryFolder("redis-copy");
  await using receiver = await openPatient();
  const { harness, ids } = await openWaiting(redis, receiver.url, receiver.triedAgain);
  await using _ = harness;
  await killAll(harness);
  await replaceRedis(redis, copy.path);
  await startAll(harness);
  receiver.state.isWell = true;
  const after = await publish(harness, 6);
  const created = await harness.ask(0, "/v1/endpoints", { url: receiver.url, retry: RETRY });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  await untilAll("the new events to be delivered", after, receiver.taken);
  const deadOf = async (): Promise<readonly Readonly<Record<string, unknown>>[]> => {
    const { body } = await harness.ask(0, "/v1/dead-letters?limit=100");
    return body["data"] as readonly Readonly<Record<string, unknown>>[];
  };
  await waitFor({
    fact: "each retry to end",
    withinMs: WITHIN_MS,
    holds: async () => {
      const dead = new Set((await deadOf()).map(({ event_id: id }) => String(id)));
      return ids.isSubsetOf(receiver.taken.union(dead));
    },
  });
  for (const dead of await deadOf()) assert.match(String(dead["reason"]), /was lost when Redis was emptied/);
  const replayed = await harness.ask(0, "/v1/dead-letters/replay", { state: "dead" });
  assert.ok(replayed.status < 300, JSON.stringify(replayed.body));
  await untilAll("all of them to be delivered", ids, receiver.taken);
});

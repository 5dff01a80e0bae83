/**
 * Redis away under load: nothing plain is refused, a limit holds, and all that was accepted meanwhile is shown afterwards with
 * what became of it, also when programs that took part were killed before Redis was back.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 120_000;
const LANES = ["HIGH", "MEDIUM", "LOW"] as const;
const LIMIT = 12;

interface Published {
  /** Priority by id. */
  readonly accepted: Map<string, string>;
  readonly refused: number[];
}

async function publish(harness: DistributedHarness, events: number, into: Published, key?: string): Promise<void> {
  for (let index = 0; index < events; index++) {
    const priority = LANES[index % LANES.length] ?? "HIGH";
    const event = { type: "a.b", priority, data: { index } };
    const { status, body } = await harness.ask(0, "/v1/events", event, key);
    if (status === 202) into.accepted.set(String(body["id"]), priority);
    else into.refused.push(status);
  }
}

interface Listed {
  readonly id: string;
  readonly state: string;
  readonly priority: string;
}

/** All that the API lists, from the newest. */
async function listed(harness: DistributedHarness): Promise<readonly Listed[]> {
  const all: Listed[] = [];
  let cursor: string | null = null;
  do {
    const path: string = `/v1/events?limit=100${cursor === null ? "" : `&cursor=${cursor}`}`;
    const { status, body } = await harness.ask(0, path);
    if (status !== 200) return all;
    all.push(...(body["data"] as Listed[]));
    cursor = body["next_cursor"] as string | null;
  } while (cursor !== null);
  return all;
}

async function requireShown(harness: DistributedHarness, accepted: ReadonlyMap<string, string>) {
  let rows: readonly Listed[] = [];
  await waitFor({
    fact: "all that was accepted to be shown as delivered",
    withinMs: WITHIN_MS,
    async holds() {
      rows = await listed(harness);
      const delivered = new Set(rows.filter(({ state }) => state === "delivered").map(({ id }) => id));
      return [...accepted.keys()].every((id) => delivered.has(id));
    },
  });
  for (const { id, priority } of rows) if (accepted.has(id)) assert.equal(priority, accepted.get(id));
  // The last were accepted and delivered while Redis was away.
  for (const [id, priority] of [...accepted].slice(-3)) {
    const { status, body } = await harness.ask(0, `/v1/events/${id}`);
    assert.deepEqual([status, body["priority"], body["state"]], [200, priority, "delivered"]);
    const [delivery] = body["deliveries"] as { readonly attempts: readonly { readonly status: number }[] }[];
    assert.deepEqual(
      delivery?.attempts.map((attempt) => attempt.status),
      [200],
    );
  }
}

for (const victims of ["nobody", "the gateway and the processor"] as const) {
  test(`events of a Redis outage are shown afterwards, with ${victims} killed meanwhile`, async () => {
    await using redis = await startRedis();
    await using counter = await openCounter();
    await using harness = await openDistributedHarness({
      gateways: 2,
      processors: 2,
      env: { REDIS_URL: redis.url },
    });
    const endpoint = await harness.ask(0, "/v1/endpoints", { url: counter.url });
    assert.equal(endpoint.status, 201);
    const made = await harness.ask(0, "/v1/api-keys", {
      name: "limited",
      scopes: ["publish"],
      rate_limit: { limit: LIMIT, window_ms: 3600_000 },
    });
    const limitedKey = String(made.body["key"]);
    const before: Published = { accepted: new Map(), refused: [] };
    await publish(harness, 3, before);
    await publish(harness, 1, before, limitedKey);
    await waitFor({
      fact: "the first events to come",
      withinMs: WITHIN_MS,
      holds: () => [...before.accepted.keys()].every((id) => counter.timesById.has(id)),
    });
    await redis.kill();
    const meanwhile: Published = { accepted: new Map(), refused: [] };
    const limited: Published = { accepted: new Map(), refused: [] };
    await Promise.all([publish(harness, 240, meanwhile), publish(harness, LIMIT + 10, limited, limitedKey)]);
    assert.deepEqual(meanwhile.refused, []);
    assert.equal(limited.accepted.size, LIMIT - 1);
    assert.deepEqual([...new Set(limited.refused)], [429]);
    const accepted = new Map([...before.accepted, ...meanwhile.accepted, ...limited.accepted]);
    await waitFor({
      fact: "all accepted events to come while Redis is away",
      withinMs: WITHIN_MS,
      holds: () => [...accepted.keys()].every((id) => counter.timesById.has(id)),
    });
    const killed = victims === "nobody" ? [] : [...harness.gateways.splice(0, 1), ...harness.processors.splice(0)];
    for (const program of killed) await program.end("SIGKILL");
    await redis.restart();
    while (harness.processors.length < 2) await harness.add("processor");
    await requireShown(harness, accepted);
    if (victims !== "nobody") return;
    const path = `/v1/endpoints/${String(endpoint.body["id"])}/stats`;
    await waitFor({
      fact: "the stats to count what came",
      withinMs: WITHIN_MS,
      holds: async () => (await harness.ask(0, path)).body["delivered"] === counter.arrivals(),
    });
  });
}

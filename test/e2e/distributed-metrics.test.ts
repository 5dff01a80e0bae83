/** Metrics of a gateway and a processor on a real Redis and Kafka move as what they measure does, read as a scraper reads them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openReceiver } from "../support/receiver.ts";
import type { Scrape } from "../support/scrape.ts";
import { scrape } from "../support/scrape.ts";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 60_000;
const EVENTS = 40;
const HIGH_EVENTS = 10;
const HIGH_BYTES = 100_000;
const DEAD_EVENTS = 8;

const lane = (name: string) => ({ group: `lanes.${name}`, topic: name });
const queue = (name: string) => ({ queue: name });

async function publish(harness: DistributedHarness, count: number, event: Readonly<Record<string, unknown>>) {
  for (let index = 0; index < count; index++) {
    const { status, body } = await harness.ask(0, "/v1/events", { data: { index }, ...event });
    assert.equal(status, 202, JSON.stringify(body));
  }
}

async function create(harness: DistributedHarness, url: string, parts: Readonly<Record<string, unknown>>) {
  const { status, body } = await harness.ask(0, "/v1/endpoints", { url, ...parts });
  assert.equal(status, 201, JSON.stringify(body));
  return String(body["id"]);
}

/** Scrapes until the fact is there, and gives that scrape. */
async function scrapeUntil(url: string | undefined, fact: string, holds: (seen: Scrape) => boolean): Promise<Scrape> {
  let latest = await scrape(url);
  await waitFor({
    fact,
    withinMs: WITHIN_MS,
    async holds() {
      latest = await scrape(url);
      return holds(latest);
    },
  });
  return latest;
}

/** Everything that a program shows is in docs/operations.md. */
function assertDocumented(seen: Scrape): void {
  const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
  const names = [...page.matchAll(/^\| `([a-z_.]+)` \| (?:counter|gauge|histogram) \|/gm)].map(([, name = ""]) => name);
  const documented = new Set(names.map((name) => name.replaceAll(".", "_")));
  const shown = seen.families.map(({ name }) => name).filter((name) => name !== "target");
  const unknown = shown.filter(
    (name) => !documented.has(name.replace(/_(?:seconds|bytes|ratio)$/, "")) && !documented.has(name),
  );
  assert.deepEqual(unknown, []);
}

const authLookUps = (seen: Scrape, result: string): number =>
  seen.sum("posthaste_cache_lookups_total", { cache: "auth", result });

/** A gateway alone, and what it took. */
function assertWaits(before: Scrape, waiting: Scrape): void {
  assertDocumented(waiting);
  assert.equal(waiting.sum("posthaste_consumer_group_lag", lane("medium")), EVENTS);
  assert.equal(waiting.sum("posthaste_consumer_group_lag", lane("low")), EVENTS);
  assert.equal(waiting.values("posthaste_consumer_group_lag", lane("low")).length, 3, "one for each partition");
  assert.equal(waiting.sum("posthaste_queue_depth", queue("medium")), EVENTS);
  assert.equal(waiting.sum("posthaste_topic_records_total", { topic: "medium", direction: "written" }), EVENTS);
  assert.ok(waiting.sum("posthaste_topic_bytes_total", { topic: "medium", direction: "written" }) > EVENTS * 20);
  assert.equal(waiting.sum("posthaste_events_accepted_total"), 2 * EVENTS + HIGH_EVENTS);
  assert.equal(waiting.sum("posthaste_accept_duration_seconds_count", { priority: "LOW" }), EVENTS);
  assert.equal(
    waiting.sum("http_server_request_duration_seconds_count", { http_route: "/v1/events" }),
    2 * EVENTS + HIGH_EVENTS,
  );
  const grownBytes =
    waiting.sum("posthaste_redis_memory_used_bytes", { store: "redis" }) -
    before.sum("posthaste_redis_memory_used_bytes");
  assert.ok(grownBytes > HIGH_EVENTS * HIGH_BYTES, `Redis' memory grew by ${grownBytes} bytes`);
  assert.ok(authLookUps(waiting, "hit") > authLookUps(waiting, "miss"));
  for (const store of ["redis", "kafka"]) assert.deepEqual(waiting.values("posthaste_store_up", { store }), [1]);
  assert.deepEqual(waiting.values("posthaste_fallbacks", { fallback: "high-through-kafka" }), [0]);
}

/** A processor that has delivered it, with one endpoint that fails. */
function assertEnded(ended: Scrape): void {
  assertDocumented(ended);
  const dead = ended.sum("posthaste_queue_depth", queue("dead"));
  assert.ok(dead >= 5, "so many open the breaker");
  assert.equal(ended.sum("posthaste_deliveries_total", { outcome: "dead" }), dead);
  assert.equal(ended.values("posthaste_retry_deferred_age_seconds").length, dead === DEAD_EVENTS ? 0 : 1);
  assert.ok(ended.sum("http_client_request_duration_seconds_count", { http_response_status_code: "500" }) >= 5);
  assert.equal(ended.sum("posthaste_topic_records_total", { topic: "low", direction: "read" }), EVENTS);
  assert.equal(ended.sum("posthaste_processing_duration_seconds_count", { queue: "low", ending: "settled" }), EVENTS);
  assert.equal(ended.sum("posthaste_delivery_duration_seconds_count", { lane: "high" }), HIGH_EVENTS);
  assert.ok(ended.sum("posthaste_cache_lookups_total", { cache: "directory", result: "hit" }) >= EVENTS);
  assert.ok(ended.sum("posthaste_cache_lookups_total", { cache: "directory", result: "miss" }) >= 1);
  assert.deepEqual(
    ["active", "paused", "disabled"].map((status) => ended.sum("posthaste_endpoints", { status })),
    [3, 1, 0],
  );
  assert.ok(ended.sum("posthaste_event_loop_delay_seconds_count") > 0);
  assert.equal(ended.values("posthaste_window_fill_ratio").length, 4);
}

test("lag, depth, age, throughput, memory, caches, retries, dead letters and breakers move as what they measure", async () => {
  await using redis = await startRedis();
  await using steady = await openCounter();
  await using broken = await openCounter(500);
  let flakyRequests = 0;
  await using flaky = await openReceiver((_request, response) => {
    flakyRequests += 1;
    response.writeHead(flakyRequests === 1 ? 503 : 200).end();
  });
  await using harness = await openDistributedHarness({ gateways: 1, processors: 0, env: { REDIS_URL: redis.url } });
  const gatewayUrl = harness.gateways[0]?.url;
  const before = await scrape(gatewayUrl);
  assert.equal(before.sum("posthaste_queue_depth", queue("medium")), 0);
  assert.deepEqual(before.values("posthaste_queue_lag_seconds", queue("medium")), []);

  await create(harness, steady.url, { event_types: ["steady.*"] });
  await create(harness, broken.url, { event_types: ["broken"], retry: { delays_s: [0] } });
  await create(harness, flaky.url, { event_types: ["flaky"], retry: { delays_s: [0, 20] } });
  await create(harness, steady.url, { event_types: ["nothing"], paused: true });
  await publish(harness, EVENTS, { type: "steady.a", priority: "MEDIUM" });
  await publish(harness, EVENTS, { type: "steady.b", priority: "LOW" });
  await publish(harness, HIGH_EVENTS, { type: "steady.c", priority: "HIGH", data: "x".repeat(HIGH_BYTES) });

  const waiting = await scrapeUntil(gatewayUrl, "the gateway to show what waits", (seen) => {
    return seen.sum("posthaste_queue_depth", queue("high")) === HIGH_EVENTS;
  });
  assertWaits(before, waiting);

  // It grows while nobody reads.
  const oldest = (seen: Scrape) => Math.max(...seen.values("posthaste_consumer_group_lag_age_seconds", lane("medium")));
  const later = await scrapeUntil(gatewayUrl, "the age to grow", (seen) => oldest(seen) > oldest(waiting) + 2);
  assert.ok(later.sum("posthaste_queue_lag_seconds", queue("medium")) > 2);
  assert.ok(later.sum("posthaste_queue_lag_seconds", queue("high")) > 2);

  const processorUrl = (await harness.add("processor")).url;
  await publish(harness, 1, { type: "flaky", priority: "MEDIUM" });
  const retrying = await scrapeUntil(processorUrl, "a delivery to wait for its retry", (seen) => {
    return seen.sum("posthaste_queue_depth", queue("retry")) === 1;
  });
  assert.equal(retrying.sum("posthaste_deliveries_total", { outcome: "retrying" }), 1);
  assert.ok(retrying.sum("posthaste_consumer_group_lag", { group: "retries" }) >= 1);
  const drained = await scrapeUntil(gatewayUrl, "all to be done", (seen) => {
    const depths = ["high", "medium", "low", "retry"].map((name) => seen.sum("posthaste_queue_depth", queue(name)));
    return depths.every((depth) => depth === 0) && seen.sum("posthaste_consumer_group_lag", lane("medium")) === 0;
  });
  // A key is trusted for a second after its last use, and two have passed.
  assert.ok(authLookUps(drained, "miss") > authLookUps(waiting, "miss"));
  assert.equal(drained.sum("posthaste_consumer_group_lag", lane("low")), 0);
  assert.deepEqual(drained.values("posthaste_consumer_group_lag_age_seconds", lane("medium")), []);
  assert.deepEqual(drained.values("posthaste_queue_lag_seconds", queue("medium")), []);

  await publish(harness, DEAD_EVENTS, { type: "broken", priority: "MEDIUM" });
  const ended = await scrapeUntil(processorUrl, "those that died, and the others behind an open breaker", (seen) => {
    const left = DEAD_EVENTS - seen.sum("posthaste_queue_depth", queue("dead"));
    const waitsBehind = [seen.sum("posthaste_queue_depth", queue("retry")), seen.sum("posthaste_retry_deferred")];
    const isOpen = seen.sum("posthaste_breaker_endpoints", { state: "open" }) === 1;
    return isOpen && waitsBehind.every((count) => count === left);
  });
  assertEnded(ended);
});

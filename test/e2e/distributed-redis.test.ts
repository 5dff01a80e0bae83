/**
 * The whole way on a Redis Cluster and behind Sentinels, with the master killed in mid-flow. What the master had
 * acknowledged but not yet replicated is gone with it, for HIGH alone; it is counted apart, and bounded in time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { startRedisCluster } from "../support/services/redis-cluster.ts";
import { startSentinel } from "../support/services/redis-sentinel.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import type { Plan } from "./load-under-kills.ts";
import { openCounter, planOf, publishAll, untilDelivered } from "./load-under-kills.ts";

const EVENTS = 3000;
const TENANTS = 24;
/** Replication on one machine lags by milliseconds; what is older than this when the master dies was replicated. */
const UNREPLICATED_MS = 1000;

interface Accepted {
  readonly priority: string;
  readonly at: number;
}

/** Over all shards: tenants spread, and each has an endpoint of its own. */
async function createEndpoints(harness: DistributedHarness, url: string): Promise<void> {
  for (let tenant = 0; tenant < TENANTS; tenant++) {
    const created = await harness.ask(tenant % 2, "/v1/endpoints", { url, tenant: `tenant-${tenant}` });
    assert.equal(created.status, 201, JSON.stringify(created.body));
  }
}

function planFor(index: number): Plan {
  const { body, headers } = planOf(index);
  const event = JSON.parse(body) as Readonly<Record<string, unknown>>;
  return { headers, body: JSON.stringify({ ...event, tenant: `tenant-${index % TENANTS}` }) };
}

async function endToEnd(redisUrl: string, killMaster: () => Promise<void>): Promise<void> {
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({ gateways: 2, processors: 2, env: { REDIS_URL: redisUrl } });
  await createEndpoints(harness, counter.url);
  const acceptedById = new Map<string, Accepted>();
  let killing: Promise<number> | null = null;
  const target = {
    url: () => harness.gateways[acceptedById.size % 2]?.url ?? "",
    isUp: () => Promise.resolve(),
    key: harness.operatorKey,
  };
  const plans = Array.from({ length: EVENTS }, (_, index) => planFor(index)).values();
  const acknowledged = await publishAll(target, plans, (count, plan, id) => {
    const { priority } = JSON.parse(plan.body) as { readonly priority: string };
    acceptedById.set(id, { priority, at: systemClock.monotonic() });
    if (count === Math.floor(EVENTS / 3)) {
      const at = systemClock.monotonic();
      killing = killMaster().then(() => at);
    }
  });
  const killedAt = await (killing ?? Promise.reject(new Error("the master was not killed")));
  const missing = await untilDelivered(acknowledged, counter);
  const unreplicated = missing.filter((id) => {
    const accepted = acceptedById.get(id);
    return (
      accepted?.priority === "HIGH" &&
      accepted.at > killedAt - UNREPLICATED_MS &&
      accepted.at <= killedAt + UNREPLICATED_MS
    );
  });
  const lost = missing.filter((id) => !unreplicated.includes(id));
  const duplicates = [...counter.timesById.values()].reduce((sum, times) => sum + times - 1, 0);
  console.log(
    `${acknowledged.size} acknowledged, ${lost.length} lost, ${unreplicated.length} lost unreplicated, ${duplicates} duplicates`,
  );
  assert.equal(acknowledged.size, EVENTS);
  assert.deepEqual(lost, []);
  assert.ok(unreplicated.length <= EVENTS / 100, "what a failover cannot save is a handful");
}

test("on a Redis Cluster events arrive while one of its masters is killed", async () => {
  await using cluster = await startRedisCluster();
  await endToEnd(`redis+cluster://${cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`, async () => {
    const [master] = await cluster.masters();
    assert.ok(master !== undefined);
    await master.kill();
  });
});

test("behind Sentinels events arrive while the master is killed", async () => {
  await using group = await startSentinel();
  const sentinels = group.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
  await endToEnd(`redis+sentinel://${sentinels}/${group.masterName}`, async () => {
    await (await group.master()).kill();
  });
});

/** A replica is promoted that had not got the last changes of keys and endpoints: what a gateway acknowledged of them holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startRedis } from "../support/services/redis.ts";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const WITHIN_MS = 90_000;

async function makeKey(harness: DistributedHarness, name: string): Promise<{ id: string; key: string }> {
  const scopes = ["publish", "manage", "read"];
  const { status, body } = await harness.ask(0, "/v1/api-keys", { name, tenant: "acme", scopes });
  assert.equal(status, 201, JSON.stringify(body));
  return { id: String(body["id"]), key: String(body["key"]) };
}

async function makeEndpoint(harness: DistributedHarness, description: string): Promise<string> {
  const wish = { url: "https://example.com/", tenant: "acme", description };
  const { status, body } = await harness.ask(0, "/v1/endpoints", wish);
  assert.equal(status, 201, JSON.stringify(body));
  return String(body["id"]);
}

/** By the operator at the first gateway. */
async function change(
  harness: DistributedHarness,
  method: "DELETE" | "PATCH",
  path: string,
  body?: object,
): Promise<void> {
  const headers = { authorization: `Bearer ${harness.operatorKey}`, "content-type": "application/json" };
  const url = `${harness.gateways[0]?.url}${path}?tenant=acme`;
  const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  assert.ok(answer.ok, await answer.text());
}

test("revoked keys stay revoked and new ones valid on every gateway, and endpoints as they were changed, when an older replica takes over", async () => {
  await using master = await startRedis();
  using folder = openTemporaryFolder("redis");
  await using replica = await startRedis({ folder: folder.path, conf: [`replicaof 127.0.0.1 ${master.port}`] });
  await using harness = await openDistributedHarness({ gateways: 2, processors: 0, env: { REDIS_URL: master.url } });
  const codeOf = async (gateway: number, key: string): Promise<string> => {
    const { status, body } = await harness.ask(gateway, "/v1/endpoints", undefined, key);
    return status === 200 ? "valid" : String(body["code"]);
  };
  const revoked = await makeKey(harness, "revoked");
  assert.deepEqual([await codeOf(0, revoked.key), await codeOf(1, revoked.key)], ["valid", "valid"]);
  const removed = await makeEndpoint(harness, "removed");
  const changed = await makeEndpoint(harness, "before");
  assert.equal(await master.ask("WAIT", "1", "10000"), "1");
  await replica.stop();
  await change(harness, "DELETE", `/v1/api-keys/${revoked.id}`);
  const made = await makeKey(harness, "made");
  await change(harness, "DELETE", `/v1/endpoints/${removed}`);
  await change(harness, "PATCH", `/v1/endpoints/${changed}`, { description: "changed" });
  await makeEndpoint(harness, "new");
  await master.kill();
  // The replica's data, as the master that everybody connects to.
  await using promoted = await startRedis({ port: master.port, folder: folder.path });
  assert.match(await promoted.ask("INFO", "replication"), /role:master/);
  for (const gateway of [1, 0]) {
    await waitFor({
      fact: `gateway ${gateway} to know both changes`,
      withinMs: WITHIN_MS,
      holds: async () =>
        (await codeOf(gateway, revoked.key)) === "key-revoked" && (await codeOf(gateway, made.key)) === "valid",
    });
  }
  for (const gateway of [1, 0]) {
    await waitFor({
      fact: `gateway ${gateway} to show the endpoints as they were changed`,
      withinMs: WITHIN_MS,
      holds: async () => {
        const { body } = await harness.ask(gateway, "/v1/endpoints?tenant=acme");
        const rows = (body["data"] ?? []) as readonly { description: string }[];
        return rows.map(({ description }) => description).join() === "changed,new";
      },
    });
  }
  const { body } = await harness.ask(1, "/v1/api-keys?tenant=acme");
  const rows = body["data"] as readonly { name: string; status: string }[];
  assert.deepEqual(rows.map(({ name, status }) => `${name} ${status}`).toSorted(), ["made usable", "revoked revoked"]);
});

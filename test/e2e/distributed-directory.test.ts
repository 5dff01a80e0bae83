/** What one gateway is told holds on all of them, and on every processor, at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const priorities = ["HIGH", "MEDIUM", "LOW"] as const;
const ROUNDS = process.env["POSTHASTE_FULL"] === "1" ? 1000 : 200;
/** Creations under way at once. */
const WORKERS = 12;
const PATIENCE_MS = 90_000;
const running = new AbortController().signal;

/** The first moment at which `holds`; an error that names the fact when it does not in time. */
async function until(fact: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonic() + PATIENCE_MS;
  while (!(await holds())) {
    if (systemClock.monotonic() > deadline) throw new Error(`waited ${PATIENCE_MS} ms for ${fact}`);
    await systemClock.sleep(10, running);
  }
}

test(`an endpoint made on one gateway gets what another one accepts right after, ${ROUNDS} times at each priority`, async () => {
  const cameTo = new Map<string, string>();
  await using receiver = await openReceiver((request, response) => {
    cameTo.set(String(request.headers["webhook-id"]), request.url ?? "");
    response.writeHead(204).end();
  });
  await using harness = await openDistributedHarness({ gateways: 2, processors: 2 });
  const expected = new Map<string, string>();
  const rounds = Array.from({ length: ROUNDS * priorities.length }, (_, round) => round).values();
  await Promise.all(
    Array.from({ length: WORKERS }, async () => {
      for (const round of rounds) {
        const path = `/round/${round}`;
        // Tenants that come and go: most were never heard of by the processor that fans out.
        const tenant = `tenant-${round % 400}`;
        const type = `round.n${round}`;
        const created = await harness.ask(round % 2, "/v1/endpoints", {
          tenant,
          url: `${receiver.url}${path}`,
          event_types: [type],
        });
        assert.equal(created.status, 201, JSON.stringify(created.body));
        const priority = priorities[round % priorities.length];
        const accepted = await harness.ask((round + 1) % 2, "/v1/events", { tenant, type, priority, data: { round } });
        assert.equal(accepted.status, 202, JSON.stringify(accepted.body));
        expected.set(String(accepted.body["id"]), path);
      }
    }),
  );
  await until("every event to come", () => cameTo.size >= expected.size);
  assert.equal(expected.size, ROUNDS * priorities.length);
  assert.deepEqual(
    [...expected].filter(([id, path]) => cameTo.get(id)?.endsWith(path) !== true),
    [],
  );
});

async function statusOf(harness: DistributedHarness, gateway: number, key: string): Promise<number> {
  return (await harness.ask(gateway, "/v1/endpoints", undefined, key)).status;
}

test("a revoked key stops working on every gateway within a second", async () => {
  await using harness = await openDistributedHarness({ gateways: 3, processors: 0 });
  const gateways = [0, 1, 2];
  const created = await harness.ask(0, "/v1/api-keys", { name: "short-lived", scopes: ["read"] });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const { id, key } = created.body as { readonly id: string; readonly key: string };
  // Known and trusted on every gateway when it is revoked.
  assert.deepEqual(await Promise.all(gateways.map((gateway) => statusOf(harness, gateway, key))), [200, 200, 200]);
  const revoked = await fetch(`${harness.gateways[0]?.url}/v1/api-keys/${id}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${harness.operatorKey}` },
  });
  assert.ok(revoked.ok, `${revoked.status} ${await revoked.text()}`);
  const at = systemClock.monotonic();
  const lastUses = await Promise.all(
    gateways.map(async (gateway) => {
      let lastUseAt = at;
      for (;;) {
        const askedAt = systemClock.monotonic();
        const status = await statusOf(harness, gateway, key);
        if (status === 401) return lastUseAt - at;
        assert.equal(status, 200);
        // What was asked after a second must be refused, however late the answer comes.
        assert.ok(askedAt - at <= 1000, `gateway ${gateway} took the key ${Math.round(askedAt - at)} ms later`);
        lastUseAt = askedAt;
        await systemClock.sleep(20, running);
      }
    }),
  );
  console.log(`last taken after ${lastUses.map((ms) => `${Math.round(ms)} ms`).join(", ")}`);
});

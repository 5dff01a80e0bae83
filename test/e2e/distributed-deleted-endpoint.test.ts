/** On real Redis and Kafka: what waits an hour in a delay topic ends, for whoever looks, when its endpoint is deleted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const EVENTS = 60;
const PATIENCE_MS = 60_000;
const running = new AbortController().signal;

async function countOf(harness: DistributedHarness, state: string): Promise<number> {
  const { status, body } = await harness.ask(0, `/v1/events?state=${state}&type=order.paid&limit=100`);
  assert.equal(status, 200, JSON.stringify(body));
  return (body["data"] as readonly unknown[]).length;
}

async function until(fact: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonic() + PATIENCE_MS;
  while (!(await fact())) {
    assert.ok(systemClock.monotonic() < deadline, "it did not come to be so in a minute");
    await systemClock.sleep(100, running);
  }
}

test("a deleted endpoint leaves no event pending: each is dead with the reason, and no attempt is planned", async () => {
  let count = 0;
  await using receiver = await openReceiver((_request, response) => {
    count += 1;
    response.writeHead(404).end();
  });
  await using harness = await openDistributedHarness({ gateways: 1, processors: 2 });
  const endpoint = { url: receiver.url, event_types: ["order.paid"], retry: { delays_s: [0, 3600] } };
  const made = await harness.ask(0, "/v1/endpoints", endpoint);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const priorities = ["HIGH", "MEDIUM", "LOW"];
  const ids: string[] = [];
  for (let index = 0; index < EVENTS; index++) {
    const event = { type: "order.paid", priority: priorities[index % 3], data: { index } };
    const published = await harness.ask(0, "/v1/events", event);
    assert.equal(published.status, 202, JSON.stringify(published.body));
    ids.push(String(published.body["id"]));
  }
  const attempted = async (id: string): Promise<boolean> => {
    const { body } = await harness.ask(0, `/v1/events/${id}`);
    return (body["deliveries"] as readonly { state: string }[])[0]?.state === "retrying";
  };
  for (const id of ids) await until(() => attempted(id));

  const url = `${harness.gateways[0]?.url ?? ""}/v1/endpoints/${String(made.body["id"])}`;
  const headers = { authorization: `Bearer ${harness.operatorKey}` };
  assert.equal((await fetch(url, { method: "DELETE", headers })).status, 204);
  await until(async () => (await countOf(harness, "dead")) === EVENTS);
  assert.equal(await countOf(harness, "pending"), 0);
  for (const id of ids) {
    const { body } = await harness.ask(0, `/v1/events/${id}`);
    const [delivery] = body["deliveries"] as readonly Record<string, unknown>[];
    assert.deepEqual(
      [delivery?.["state"], delivery?.["reason"], delivery?.["next_attempt_at"]],
      ["dead", "the endpoint was deleted", null],
    );
  }
  assert.equal(count, EVENTS);
});

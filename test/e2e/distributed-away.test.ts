/** Without Redis: what is known already goes on, and HIGH goes through Kafka. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 120_000;

test("events of every priority are accepted and delivered while Redis is down, and after it is back", async () => {
  await using redis = await startRedis();
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({
    gateways: 1,
    processors: 1,
    env: { REDIS_URL: redis.url },
  });
  assert.equal((await harness.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
  const accepted = new Set<string>();
  /** Refusals are allowed, silence and errors of ours are not. */
  const publishUntilAccepted = async (priority: string): Promise<void> => {
    await waitFor({
      fact: `a ${priority} event to be accepted`,
      withinMs: WITHIN_MS,
      async holds() {
        const { status, body } = await harness.ask(0, "/v1/events", { type: "a.b", priority, data: {} });
        assert.ok(status === 202 || status === 503, `${status} ${JSON.stringify(body)}`);
        if (status === 202) accepted.add(String(body["id"]));
        return status === 202;
      },
    });
  };
  const allArrived = (): Promise<void> =>
    waitFor({
      fact: "all accepted events to come",
      withinMs: WITHIN_MS,
      holds: () => [...accepted].every((id) => counter.timesById.has(id)),
    });
  const priorities = ["HIGH", "MEDIUM", "LOW"];
  for (const priority of priorities) await publishUntilAccepted(priority);
  await allArrived();
  const ready = () =>
    Promise.all(
      [...harness.gateways, ...harness.processors].map(async ({ url }) => {
        const answer = await fetch(`${url}/readyz`);
        return { status: answer.status, body: await answer.text() };
      }),
    );
  for (const { status, body } of await ready()) assert.deepEqual([status, body], [200, '{"status":"ready"}']);
  await redis.kill();
  for (const priority of priorities) await publishUntilAccepted(priority);
  await allArrived();
  for (const { status, body } of await ready()) {
    assert.equal(status, 200, body);
    assert.match(
      body,
      /"degraded":\["Redis (?:\(REDIS_URL\) does not answer|did not answer within 2000 ms)\. [^"]*Kafka/,
    );
  }
  await redis.restart();
  for (const priority of priorities) await publishUntilAccepted(priority);
  await allArrived();
  assert.equal(accepted.size, 3 * priorities.length);
  for (const program of [...harness.gateways, ...harness.processors]) {
    const linesOf = (event: string) => program.printed().split(`"event":"${event}"`).length - 1;
    await waitFor({ fact: "Redis to be told as back", withinMs: WITHIN_MS, holds: () => linesOf("store.back") > 0 });
    assert.deepEqual([linesOf("store.away"), linesOf("store.back")], [1, 1], program.printed());
    assert.match(program.printed(), /"event":"store\.away","store":"redis",.*"meanwhile":"[^"]*Kafka/);
    // No client prints by itself: what it says stands in a field of a line of ours.
    const foreign = program
      .printed()
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith('{"time":'));
    assert.deepEqual(
      foreign.filter((line) => !line.startsWith("Operator API key")),
      [],
    );
    assert.doesNotMatch(program.printed(), /kafkajs|ioredis/);
  }
});

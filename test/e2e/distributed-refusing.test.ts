/** A Redis that refuses writes and answers all else: what is accepted goes on, `/readyz` says it, and the log says it once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Program } from "posthaste/program.ts";
import { REFUSING_CONF, redisRefusals } from "../support/services/redis-refusals.ts";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 60_000;
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;

test("while Redis refuses writes all is accepted and delivered, and readiness names the refusal", async () => {
  await using redis = await startRedis({ conf: REFUSING_CONF });
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env: { REDIS_URL: redis.url } });
  const programs = [...harness.gateways, ...harness.processors];
  assert.equal((await harness.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);

  const untilReadiness = async (fact: string, isSo: (body: string) => boolean): Promise<void> => {
    for (const { url } of programs) {
      let last = "";
      await waitFor({
        fact,
        withinMs: WITHIN_MS,
        async holds() {
          const answer = await fetch(`${url}/readyz`);
          last = `${answer.status} ${await answer.text()}`;
          return isSo(last);
        },
      }).catch((error: unknown) => assert.fail(`${String(error)}; it was ${last}`));
    }
  };
  const publish = async (): Promise<readonly string[]> => {
    const answers = await Promise.all(
      PRIORITIES.map((priority) => harness.ask(0, "/v1/events", { type: "a.b", priority, data: {} })),
    );
    for (const { status, body } of answers) assert.equal(status, 202, JSON.stringify(body));
    return answers.map(({ body }) => String(body["id"]));
  };
  const untilArrived = (ids: readonly string[]): Promise<void> =>
    waitFor({
      fact: "what was accepted to arrive",
      withinMs: WITHIN_MS,
      holds: () => ids.every((id) => counter.timesById.has(id)),
    });

  const linesOf = (program: Program, event: string): readonly string[] =>
    program
      .printed()
      .split("\n")
      .filter((line) => line.includes(`"event":"${event}"`));
  const untilLines = async (event: string, count: number): Promise<void> => {
    for (const program of programs) {
      await waitFor({
        fact: `${event} to be told ${count} times`,
        withinMs: WITHIN_MS,
        holds: () => linesOf(program, event).length === count,
      });
    }
  };

  await untilArrived(await publish());
  for (const [at, { word, begin, end }] of redisRefusals.entries()) {
    await begin(redis);
    const says = `200 {"status":"ready","degraded":["Redis (REDIS_URL) refuses writes (${word}). `;
    await untilReadiness(`readiness to say ${word}`, (body) => body.startsWith(says));
    const meanwhile: string[] = [];
    // More than it takes until calls fail at once.
    for (let round = 0; round < 5; round++) meanwhile.push(...(await publish()));
    await untilArrived(meanwhile);
    await untilLines("store.away", at + 1);
    await end(redis);
    await untilReadiness("readiness without a fault", (body) => body === '200 {"status":"ready"}');
    await untilLines("store.back", at + 1);
    await untilArrived(await publish());
    for (const program of programs) {
      const away = linesOf(program, "store.away");
      assert.equal(away.length, at + 1, program.printed());
      assert.ok(away.at(-1)?.includes(`"reason":"Redis (REDIS_URL) refuses writes (${word})."`), program.printed());
    }
  }
});

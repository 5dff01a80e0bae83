/** The notes of topics that were deleted, on a real Redis and on the model of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLostTopics } from "@posthaste/shared/drivers/redis/lost-topics.ts";
import { openRedisHarness } from "./harness.ts";

for (const server of ["real", "model"] as const) {
  test(`${server} lost topics: a note keeps its first time until it is done, and those of others stay`, async () => {
    await using harness = await openRedisHarness(() => ({}), { server, shards: 2 })();
    const { clock } = harness;
    const lost = createLostTopics(harness);
    assert.deepEqual(await lost.list(), []);
    const sinceMs = clock.now();
    await lost.note("medium");
    await clock.advance(5000);
    await lost.note("medium");
    await lost.note("retry.5s");
    const listed = await lost.list();
    assert.deepEqual(
      new Map(listed.map((each) => [each.topic, each.sinceMs])),
      new Map([
        ["medium", sinceMs],
        ["retry.5s", sinceMs + 5000],
      ]),
    );
    await lost.done("medium");
    await lost.done("none");
    assert.deepEqual(
      (await lost.list()).map(({ topic }) => topic),
      ["retry.5s"],
    );
  });

  test(`${server} lost topics: more than a hundred are not kept`, async () => {
    await using harness = await openRedisHarness(() => ({}), { server })();
    const lost = createLostTopics(harness);
    for (let at = 0; at < 105; at++) await lost.note(`topic-${at}`);
    assert.equal((await lost.list()).length, 100);
  });
}

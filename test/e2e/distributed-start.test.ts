/** What programs of the distributed set ask at their start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { openDistributedHarness, storesEnv } from "./distributed-harness.ts";

test("a gateway reads the catalogue of event types at its start, a processor, which has no use for it, does not", async () => {
  const redis = new Redis(storesEnv().REDIS_URL);
  const monitor = await redis.monitor();
  const asked: { readonly at: string; readonly words: string }[] = [];
  monitor.on("monitor", (_time: string, words: readonly string[], at: string) => {
    asked.push({ at, words: words.join(" ") });
  });
  try {
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
    const own = asked.filter(({ words }) => words.includes(harness.prefix));
    const reads = own.filter(({ words }) => words.includes("eventTypes"));
    assert.equal(new Set(own.map(({ at }) => at)).size >= 2, true, "both programs are heard");
    // What a script does inside is told as well, without an address.
    assert.equal(new Set(reads.flatMap(({ at }) => (at === "lua" ? [] : [at]))).size, 1);
  } finally {
    monitor.disconnect();
    redis.disconnect();
  }
});

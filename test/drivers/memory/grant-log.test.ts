/** What a subject of the rate limiter takes in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createGrantLog } from "@posthaste/shared/drivers/memory/grant-log.ts";
import { grainMs, GRAINS } from "@posthaste/shared/ports/rate-limiter.ts";

test("a log has no more entries than grains, whatever is granted in a window", () => {
  for (const windowMs of [1, 1000, 3000, 60_000, 86_400_000]) {
    const log = createGrantLog();
    let most = 0;
    for (let grant = 0; grant < 100_000; grant++) {
      const atMs = 1_000_000 + Math.floor((grant * windowMs) / 50_000);
      log.expire(atMs - windowMs);
      log.add(atMs, 1, grainMs(windowMs));
      most = Math.max(most, log.entries());
    }
    assert.ok(most <= 2 * GRAINS + 1, `${most} entries in a window of ${windowMs} ms`);
    assert.ok(log.used() <= 50_000 + 50_000 / GRAINS + 1, String(log.used()));
  }
});

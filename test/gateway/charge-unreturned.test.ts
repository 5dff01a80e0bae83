/**
 * A gateway that dies between the refusal of a batch and the give-back of its charge: what it took of the rate limit is gone
 * until its window ends, and no longer. Both limiters, the one in memory kept beyond the death, as that in Redis is.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";
import { openModelHarness } from "../contract/distributed-harness.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";

const LIMIT = 10;
const WINDOW_MS = 60_000;
const SPENT = 6;

/** The first give-back is where the process dies: it never comes to the store, and nobody hears of the request again. */
function dyingOnce(drivers: Drivers, rateLimiter: RateLimiter) {
  const died = Promise.withResolvers<void>();
  let isDead = false;
  const wrapped: Drivers = {
    ...drivers,
    lanes: {
      ...drivers.lanes,
      append: (envelopes) =>
        isDead
          ? drivers.lanes.append(envelopes)
          : Promise.reject(new PosthasteError("store-unavailable", "The store is away.")),
    },
    rateLimiter: {
      ...rateLimiter,
      giveBack(...given) {
        if (isDead) return rateLimiter.giveBack(...given);
        isDead = true;
        died.resolve();
        return new Promise(() => undefined);
      },
    },
  };
  return { wrapped, died: died.promise };
}

for (const kind of ["in memory", "in Redis"] as const) {
  test(`a charge ${kind} that a dead process did not give back lasts until its window ends`, async () => {
    await using model = kind === "in Redis" ? await openModelHarness() : null;
    let died = Promise.resolve();
    await using harness = await openGatewayHarness({
      wrap(drivers) {
        const dying = dyingOnce(drivers, model?.drivers.rateLimiter ?? drivers.rateLimiter);
        died = dying.died;
        return dying.wrapped;
      },
    });
    const pass = async (ms: number): Promise<void> => {
      await harness.clock.advance(ms);
      await model?.clock.advance(ms);
    };
    const key = await harness.createKey({
      tenant: "acme",
      rateLimit: { limit: LIMIT, windowMs: WINDOW_MS, failureMode: "local" },
    });
    const events = Array.from({ length: SPENT }, (_, n) => ({ type: "order.paid", data: { n } }));
    const publish = () => harness.call("POST", "/v1/events/batch", { key, body: { events } });
    void publish();
    await died;
    const refused = await publish();
    assert.equal(refused.status, 429);
    const retryAfterS = Number(refused.headers.get("retry-after"));
    assert.ok(retryAfterS >= 1 && retryAfterS * 1000 <= WINDOW_MS, `Retry-After ${retryAfterS}`);
    await pass(retryAfterS * 1000 - 1000);
    assert.equal((await publish()).status, 429);
    await pass(1000);
    assert.equal((await publish()).status, 200);
  });
}

/** A Redis that takes connections and says nothing: what an accept can do without does not wait for it, what it cannot does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KEY_TRUSTED_MS } from "@posthaste/shared/drivers/redis/api-keys/cache.ts";
import { createStores } from "@posthaste/shared/drivers/distributed/stores.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { openRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import { STALL_MS } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createSealer, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { withCode } from "../../contract/harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, TENANT, sampleKey, sampleEnvelope } from "../../support/samples.ts";
import { openRedisProxy } from "./proxy.ts";

const LIMIT = { limit: 10, windowMs: 1000 };

test("while Redis is silent who has another way is told so together, and all others wait on", async () => {
  await using proxy = await openRedisProxy();
  const clock = createManualClock(START_MS);
  const ignore = (): void => undefined;
  const prefix = `t${Buffer.from(systemEntropy.bytes(8)).toString("hex")}:`;
  await using commands = openRedis({ url: proxy.url, clock, entropy: systemEntropy, time: "server", onFault: ignore });
  const place = { commands, keys: createKeySpace({ shards: 1, prefix }) };
  await using stores = await createStores({
    main: place,
    cache: place,
    clock,
    entropy: systemEntropy,
    sealer: createSealer(MASTER_KEY),
    bounds: {},
    isReachable: () => commands.isReachable(),
    cacheLine: commands,
    onFault: ignore,
    onCacheFault: ignore,
    limits: { processes: 1, events: silentTelemetry.limit },
    onCache: ignore,
    onLost: ignore,
    wasUsed: () => Promise.resolve(false),
  });
  const ledger = stores.openLedger(() => Promise.resolve());
  await using high = stores.openHighLane(ignore);
  const key = sampleKey("key_a");
  await stores.apiKeys.save(key);
  const version = await stores.directory.version(TENANT);
  // Past the time for which a key is trusted; each step waits for an answer, so that nothing is late by this clock.
  for (let passedMs = 0; passedMs <= KEY_TRUSTED_MS; passedMs += STALL_MS / 4) {
    assert.equal(await stores.health(), null);
    await clock.advance(STALL_MS / 4);
  }
  assert.equal(await stores.health(), null);

  proxy.silence();
  const settled = new Set<string>();
  const noted = <Answer>(name: string, work: Promise<Answer>): Promise<Answer> => {
    const note = (): void => void settled.add(name);
    work.then(note, note);
    return work;
  };
  const event = sampleEnvelope("evt_a");
  const request = { tenant: TENANT, key: "key:k", fingerprint: "f", eventIds: ["evt_b"], acceptedAtMs: clock.now() };
  const claiming = noted("claim", stores.claims.claim(request));
  claiming.catch(ignore);
  const unknown = noted("unknown key", stores.apiKeys.find("0".repeat(64)));
  unknown.catch(ignore);
  const others = Promise.all([
    assert.rejects(noted("high", high.append([event])), withCode("store-unavailable")),
    assert.rejects(noted("ledger", ledger.remember([event])), withCode("store-unavailable")),
    noted("version", stores.directory.version(TENANT)).then((known) => assert.equal(known, version)),
    noted("key", stores.apiKeys.find(key.hash)).then((found) => assert.equal(found?.id, key.id)),
    noted("limit", stores.rateLimiter.take("k", LIMIT, 1)).then((verdict) => assert.equal(verdict.isLocal, true)),
  ]);
  await clock.advance(STALL_MS - 1);
  await clock.settle();
  assert.deepEqual([...settled], []);
  await clock.advance(1);
  await others;
  assert.deepEqual(settled, new Set(["high", "ledger", "version", "key", "limit"]));
  // The next ones are not held up at all.
  await assert.rejects(high.append([event]), withCode("store-unavailable"));
  await assert.rejects(ledger.remember([event]), withCode("store-unavailable"));
  assert.equal(await stores.directory.version(TENANT), version);
  assert.equal(settled.size, 5);
});

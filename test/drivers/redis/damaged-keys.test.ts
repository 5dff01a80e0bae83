/**
 * Keys of Redis that somebody overwrote, kind by kind: with another type, with texts where numbers are, with numbers that
 * no store of ours comes to. Each costs itself; nobody else is refused for it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRedisBegunAttempts } from "@posthaste/shared/drivers/redis/begun-attempts.ts";
import { createRedisCancellations } from "@posthaste/shared/drivers/redis/cancellations.ts";
import { createRedisClaims } from "@posthaste/shared/drivers/redis/claims.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createRedisDeadLetterIndex } from "@posthaste/shared/drivers/redis/dead-letters/index-store.ts";
import type { HighLane } from "@posthaste/shared/drivers/redis/high-lane/high-lane.ts";
import { createRedisHighLane } from "@posthaste/shared/drivers/redis/high-lane/high-lane.ts";
import { createRedisLeases } from "@posthaste/shared/drivers/redis/leases.ts";
import { withMending } from "@posthaste/shared/drivers/redis/mending.ts";
import { createRedisRateLimiter } from "@posthaste/shared/drivers/redis/rate-limiter.ts";
import { createRedisStats } from "@posthaste/shared/drivers/redis/stats.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { LEASE_MS_MAX } from "@posthaste/shared/ports/leases.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { withCode } from "../../contract/harness.ts";
import {
  ENDPOINT_ID,
  START_MS,
  TENANT,
  sampleDeadLetter,
  sampleEnvelope,
  sampleRecord,
} from "../../support/samples.ts";
import type { RedisHarness } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import { FAILED, delivery, openLedgerHarness } from "./ledger-harness.ts";

const byHand = (lua: string): RedisScript => ({ name: "by-hand", returns: "text", lua });
const SET_ALL = byHand(`
  local kind = redis.call('TYPE', KEYS[1]).ok
  if kind == 'string' then redis.call('SET', KEYS[1], ARGV[1]) end
  if kind == 'hash' then
    for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('HSET', KEYS[1], field, ARGV[1]) end
  end
  if kind == 'zset' then redis.call('ZADD', KEYS[1], '-inf', ARGV[1] .. 'a', '+inf', ARGV[1] .. 'b', 1e18, ARGV[1] .. 'c', -5, ARGV[1]) end
  return kind`);
const OVERWRITE = byHand("redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], 'junk') return 'ok'");
const NAMES = byHand("return redis.call('KEYS', ARGV[1])");
const TYPE = byHand("return redis.call('TYPE', KEYS[1]).ok");

const JUNK = ["", "x", "{}", "-1", "-9e15", "9007199254740000", "1e18", "nan", "inf", "9".repeat(400), "\0\u0001"];
const signal = new AbortController().signal;

async function namesOf({ commands, keys }: RedisHarness): Promise<readonly string[]> {
  return (await commands.run(NAMES, [], [`${keys.key(0, "")}*`])) as readonly string[];
}

/** Every key that there is, with every junk, and once as a text. */
async function damageEach(
  harness: RedisHarness,
  then: (key: string, junk: string) => Promise<void>,
  only: (name: string) => boolean = () => true,
): Promise<void> {
  for (const key of await namesOf(harness)) {
    if (!only(key)) continue;
    for (const junk of JUNK) {
      await harness.commands.run(SET_ALL, [key], [junk]);
      await then(key, junk);
    }
    await harness.commands.run(OVERWRITE, [key], []);
    await then(key, "another type");
  }
}

test("stats in redis: what lies in the place of counts counts nothing, and others' counts of the same write go on", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  const { commands, keys, clock } = harness;
  const stats = createRedisStats({ commands, keys, clock: { timer: () => () => undefined }, entropy: systemEntropy });
  const entry = (endpointId: string): StatEntry => ({
    kind: "attempt",
    tenant: TENANT,
    endpointId,
    lane: "high",
    outcome: "delivered",
    durationMs: 5,
    sinceDueMs: [5],
    seen: { inFlight: 1, inFlightMax: 4, breaker: "closed" },
    atMs: clock.now(),
  });
  const accepted: StatEntry = { kind: "accepted", tenant: TENANT, type: "a", lane: "low", atMs: clock.now() };
  stats.add([entry("ep_a"), entry("ep_b"), accepted]);
  await stats.flush();
  let written = 1;
  await damageEach(
    harness,
    async (key, junk) => {
      const isBare = junk === "another type" && !/:\d+$/.test(key);
      if (isBare) await assert.rejects(stats.endpoint(TENANT, "ep_a"), withCode("store-unavailable"));
      else {
        const { attempts, lastAttemptAtMs, durationMsMean } = await stats.endpoint(TENANT, "ep_a");
        assert.ok(Number.isSafeInteger(attempts) && attempts >= 0, `${key} ${junk}: ${attempts}`);
        assert.ok(lastAttemptAtMs === null || new Date(lastAttemptAtMs).toISOString() !== "", junk);
        assert.ok(durationMsMean === null || durationMsMean >= 0, junk);
      }
      stats.add([entry("ep_a"), entry("ep_b")]);
      await stats.flush();
      written += 1;
      assert.equal((await stats.endpoint(TENANT, "ep_b")).attempts, written, `${key} ${junk}`);
      assert.ok((await stats.endpoint(TENANT, "ep_a")).attempts >= 1, `${key} ${junk}`);
    },
    (key) => key.includes("ep_a"),
  );
  await damageEach(
    harness,
    async (key, junk) => {
      stats.add([entry("ep_a"), entry("ep_b")]);
      await stats.flush();
      written += 1;
      assert.equal((await stats.endpoint(TENANT, "ep_b")).attempts, written, `${key} ${junk}`);
      for (const { atMs, delivered } of await stats.flow()) {
        assert.ok(
          atMs > 0 && Number.isSafeInteger(delivered) && delivered >= 0,
          `${key} ${junk}: ${atMs} ${delivered}`,
        );
      }
    },
    (key) => key.includes("stats:flow"),
  );
  assert.equal(stats.lostCount(), 0);
  assert.equal((await stats.tenant(TENANT)).totalEvents, 1);
});

test("the rate limiter in redis: whatever lies in its keys, a subject gets its units and no more than its limit", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  const faults: unknown[] = [];
  const commands = withMending(harness.commands, (error) => faults.push(error));
  const limiter = createRedisRateLimiter({ commands, keys: harness.keys, clock: systemClock });
  const take = (subject: string) => limiter.take(subject, { limit: 3, windowMs: 1000 }, 1);
  await take("key_a");
  await damageEach(harness, async (key, junk) => {
    await harness.clock.advance(2000);
    for (const subject of ["key_a", "key_b"]) {
      const granted = [];
      for (let count = 0; count < 4; count++) granted.push((await take(subject)).isGranted);
      assert.deepEqual(granted, [true, true, true, false], `${key} ${junk} ${subject}`);
      const { resetMs, atMs } = await take(subject);
      await limiter.giveBack(subject, { limit: 3, windowMs: 1000 }, { cost: 1, atMs });
      assert.ok(resetMs >= 0 && resetMs <= 1000, `${key} ${junk}: ${resetMs}`);
    }
  });
  assert.equal(faults.length, 3);
});

test("claims in redis: one that does not read back is taken anew, and another type is put aside", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  const claims = createRedisClaims({ commands: withMending(harness.commands, () => undefined), keys: harness.keys });
  const claim = (key: string) =>
    claims.claim({ tenant: TENANT, key, fingerprint: "aa", eventIds: ["evt_a"], acceptedAtMs: START_MS });
  await claim("key:a");
  await claims.complete(TENANT, "key:a", { status: 202, body: "{}" });
  let fresh = 0;
  await damageEach(harness, async (key, junk) => {
    const { kind } = await claim("key:a");
    assert.ok(
      ["claimed", "mismatch", "in-flight"].includes(kind) || !key.includes("claim:"),
      `${key} ${junk}: ${kind}`,
    );
    assert.equal((await claim(`key:${fresh++}`)).kind, "claimed", `${key} ${junk}`);
    await claims.complete(TENANT, "key:a", { status: 202, body: "{}" });
  });
});

test("cancellations, begun attempts and leases in redis: junk refuses nobody", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  const commands = withMending(harness.commands, () => undefined);
  const { keys, clock } = harness;
  const cancellations = createRedisCancellations({ commands, keys });
  const begun = createRedisBegunAttempts({ commands, keys, clock: systemClock });
  const leases = createRedisLeases({ commands, keys });
  const planned = (id: string) => ({ tenant: TENANT, id, acceptedAtMs: START_MS, deliverAtMs: clock.now() + 60_000 });
  const attempt = { tenant: TENANT, eventId: "evt_a", endpointId: ENDPOINT_ID, generation: 0, attempt: 1 };
  await cancellations.cancel(planned("evt_a"));
  await cancellations.begin(planned("evt_b"));
  await begun.begin([attempt]);
  await leases.acquire("recovery", "one", 15_000);
  let count = 0;
  await damageEach(harness, async (key, junk) => {
    const id = `evt_${count++}`;
    assert.equal(await cancellations.cancel(planned(id)), "cancelled", `${key} ${junk}`);
    assert.equal(await cancellations.begin(planned(id)), "cancelled", `${key} ${junk}`);
    await begun.begin([attempt]);
    assert.ok((await begun.unended(attempt)) >= 1, `${key} ${junk}`);
    const other = await leases.acquire("recovery", "another", 15_000);
    const waitMs = other.kind === "held" ? other.retryAfterMs : 0;
    assert.ok(waitMs >= 0 && waitMs <= LEASE_MS_MAX, `${key} ${junk}: ${waitMs}`);
    await leases.release("recovery", "another");
    await leases.acquire("recovery", "one", 15_000);
  });
});

function openLane(harness: RedisHarness): HighLane {
  const { keys, clock } = harness;
  const timers = {
    ...clock,
    monotonic: () => clock.now(),
    soon: systemClock.soon,
    timer: () => () => undefined,
    sleep: () => Promise.resolve(),
  };
  return createRedisHighLane({
    commands: withMending(harness.commands, () => undefined),
    keys,
    clock: timers as never,
    entropy: systemEntropy,
    bounds: { itemsMax: 100, bytesMax: 1024 * 1024 },
    onPoison: () => undefined,
    onFault: () => undefined,
  });
}

test("the HIGH lane in redis: a key of another type is put aside, a list too, and the sound ones beside it stay", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  await using lane = openLane(harness);
  let count = 0;
  const append = () => lane.append([sampleEnvelope(`evt_${count++}`, { acceptedAtMs: START_MS + count })]);
  await append();
  const damaged: string[] = [];
  for (const [name, lua] of [
    ["lane:high:fresh", "redis.call('SET', KEYS[1], 'junk')"],
    ["lane:high:known", "redis.call('RPUSH', KEYS[1], 'junk')"],
    ["lane:tally", "redis.call('RPUSH', KEYS[1], 'junk')"],
  ] as const) {
    const key = harness.keys.key(0, name);
    damaged.push(`${key}:odd`);
    await harness.commands.run(byHand(`redis.call('DEL', KEYS[1]) ${lua} return 'ok'`), [key], []);
    await append();
    const odd = (await namesOf(harness)).filter((each) => each.endsWith(":odd"));
    assert.ok(
      odd.every((each) => damaged.includes(each)),
      `${name}: ${odd.join(" ")}`,
    );
  }
  assert.equal((await namesOf(harness)).filter((each) => each.endsWith(":odd")).length, damaged.length);
});

test("the HIGH lane in redis: whatever lies in its keys, events are taken and acknowledged, and none is refused", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  await using lane = openLane(harness);
  let count = 0;
  const walk = async (what: string): Promise<void> => {
    const envelope = sampleEnvelope(`evt_${count++}`, { acceptedAtMs: START_MS + count });
    await lane.append([envelope]);
    const items = await lane.take(50, signal);
    assert.ok(
      items.some((item) => item.envelope.id === envelope.id),
      what,
    );
    await lane.ack(items);
    const { oldestAtMs } = await lane.depth();
    assert.ok(oldestAtMs === null || Number.isFinite(oldestAtMs), what);
  };
  await walk("well");
  // So that everything has a key of its own.
  await lane.append([sampleEnvelope("evt_waits", { acceptedAtMs: START_MS })]);
  const [held] = await lane.take(1, signal);
  assert.ok(held);
  await lane.append([sampleEnvelope("evt_listed", { acceptedAtMs: START_MS })]);
  await damageEach(
    harness,
    (key, junk) => walk(`${key} ${junk}`),
    (key) => !key.includes(":odd"),
  );
  assert.equal(await harness.commands.run(TYPE, [harness.keys.key(0, "lane:high:held:odd")], []), "string");
});

test("the ledger in redis: an event whose keys are of another type costs itself in writes, lists and trimming", async () => {
  await using harness = await openLedgerHarness()();
  const { ledger, keys, commands, clock } = harness;
  const root = keys.key(0, "ledger");
  let last = START_MS;
  for (const what of ["event", "body", "deliveries", "attempts", "times"]) {
    const [odd, well] = [`evt_${what}_odd`, `evt_${what}_well`];
    const two = [odd, well].map((id) => sampleEnvelope(id, { acceptedAtMs: last++ }));
    await ledger.remember(two);
    await commands.run(OVERWRITE, [`${root}:${what}:${TENANT}:${odd}`], []);
    // The times of attempts are kept from the second on.
    ledger.record(two.map((envelope) => delivery(sampleRecord(envelope, { state: "retrying", result: FAILED }))));
    ledger.record(two.map((envelope) => delivery(sampleRecord(envelope, { state: "delivered", attempt: 2 }))));
    await ledger.remember([sampleEnvelope(`evt_${what}_next`, { acceptedAtMs: last++ })]);
    await ledger.flush();
    const states = await ledger.deliveries({ tenant: TENANT, eventId: well }, 10, null);
    assert.deepEqual(
      states.rows.map(({ state }) => state),
      ["delivered"],
      what,
    );
    const listed = new Set(
      (await ledger.events({ tenant: TENANT }, 100, null)).rows.map(({ envelope }) => envelope.id),
    );
    assert.ok(listed.has(well) && listed.has(`evt_${what}_next`), what);
    const attempts = await ledger.attempts({ tenant: TENANT, eventId: well }, 10, null);
    assert.deepEqual(
      attempts.rows.map(({ attempt }) => attempt),
      [2, 1],
      what,
    );
    if (what === "times")
      assert.equal((await ledger.attempts({ tenant: TENANT, eventId: odd }, 10, null)).rows.length, 2);
  }
  assert.deepEqual(harness.lost, []);
  // Past their time they are trimmed, the damaged ones among them.
  await clock.advance(11 * 24 * 3600 * 1000);
  await ledger.remember([sampleEnvelope("evt_late", { acceptedAtMs: clock.now() })]);
  const kept = (await ledger.events({ tenant: TENANT }, 100, null)).rows.map(({ envelope }) => envelope.id);
  assert.deepEqual(kept, ["evt_late"]);
});

test("the ledger in redis: sums of bytes that somebody wrote make no history go, and are mended", async () => {
  await using harness = await openLedgerHarness()();
  const { ledger, keys, commands } = harness;
  const ids = Array.from({ length: 20 }, (_, index) => `evt_${String(index).padStart(2, "0")}`);
  await ledger.remember(ids.slice(0, 5).map((id, at) => sampleEnvelope(id, { acceptedAtMs: START_MS + at })));
  let next = 5;
  for (const key of ["ledger:bytes", "ledger:tenants"]) {
    for (const junk of ["9007199254740000", "-9e15", "x", "1e18", "inf"]) {
      await commands.run(SET_ALL, [keys.key(0, key)], [junk]);
      await ledger.remember([sampleEnvelope(ids[next++] ?? "", { acceptedAtMs: START_MS + next })]);
      const kept = (await ledger.events({ tenant: TENANT }, 100, null)).rows.length;
      assert.equal(kept, next, `${key} ${junk}`);
    }
  }
});

test("dead letters in redis: sums of bytes that somebody wrote make no letter go, and lists of another type cost themselves", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  const { commands, keys } = harness;
  const index = createRedisDeadLetterIndex({ commands, keys });
  let count = 0;
  const put = async () => {
    const id = `dlv_${String(count++).padStart(2, "0")}`;
    const made = await index.put([
      { deadLetter: sampleDeadLetter(id, { atMs: START_MS + count }), revision: "1", place: null },
    ]);
    assert.deepEqual(made, []);
  };
  for (let nth = 0; nth < 5; nth++) await put();
  for (const key of ["dead:bytes", "dead:tenants"]) {
    for (const junk of ["9007199254740000", "-9e15", "x", "1e18", "inf"]) {
      await commands.run(SET_ALL, [keys.key(0, key)], [junk]);
      await put();
      assert.equal((await index.list({ tenant: TENANT }, 100, null)).rows.length, count, `${key} ${junk}`);
    }
  }
  await commands.run(OVERWRITE, [keys.key(0, `dead:endpoint:${ENDPOINT_ID}`)], []);
  await put();
  assert.equal((await index.list({ tenant: TENANT }, 100, null)).rows.length, count);
});

test("lists in redis: places that no clock shows and names that no cursor carries do not end a list", async () => {
  await using harness = await openLedgerHarness()();
  const { ledger, keys, commands } = harness;
  const envelopes = ["evt_a", "evt_b", "evt_c"].map((id, at) => sampleEnvelope(id, { acceptedAtMs: START_MS + at }));
  await ledger.remember(envelopes);
  const add = byHand("return redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])");
  const list = keys.key(0, `ledger:events:${TENANT}`);
  const odd: readonly (readonly [string, string])[] = [
    ["+inf", "a|b"],
    ["1e18", "a|b1"],
    ["-inf", "a|b2"],
    ["-5", "a|b3"],
    [`${START_MS + 1}.5`, "a|b4"],
    [String(START_MS + 1), "\0\u0001"],
    [String(START_MS + 1), `${TENANT}|${"x".repeat(5000)}`],
  ];
  for (const [score, member] of odd) await commands.run(add, [list], [score, member]);
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof ledger.events>> = await ledger.events({ tenant: TENANT }, 1, cursor);
    found.push(...page.rows.map(({ envelope }) => envelope.id));
    cursor = page.next;
  } while (cursor !== null);
  assert.deepEqual(found, ["evt_c", "evt_b", "evt_a"]);
});

test("however often one damaged key is asked for, everything else in redis is answered", async () => {
  await using harness = await openRedisHarness(() => ({}))();
  const { commands, keys } = harness;
  const key = keys.key(0, "odd");
  await commands.run(byHand("return redis.call('SET', KEYS[1], 'x')"), [key], []);
  const asked = [
    byHand("return redis.call('HGET', KEYS[1], 'a')"),
    byHand("return tostring(redis.call('GET', KEYS[1]) + 1)"),
  ];
  for (let times = 0; times < 10; times++) {
    for (const script of asked) await assert.rejects(commands.run(script, [key], []), withCode("store-unavailable"));
  }
  assert.equal(await commands.run(byHand("return redis.call('GET', KEYS[1])"), [key], []), "x");
});

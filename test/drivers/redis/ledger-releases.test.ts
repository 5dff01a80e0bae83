/** What other releases wrote of a delivery reads back, as far as it is known here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveryOf } from "@posthaste/shared/drivers/redis/ledger/record.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import type { AttemptView } from "@posthaste/shared/ports/ledger.ts";
import type { LedgerHarness } from "./ledger-harness.ts";
import { ENDPOINT_ID, START_MS, TENANT, sampleEnvelope, sampleRecord } from "../../support/samples.ts";
import { FAILED, delivery, openLedgerHarness } from "./ledger-harness.ts";

const read = (json: string) =>
  deliveryOf(TENANT, ["evt_a", ENDPOINT_ID, "0", String(START_MS), `retrying 1 1 o ${json}`]);
const FACTS = `"updatedAtMs":${START_MS},"nextAttemptAtMs":null,"reason":"answered 500"`;

test("a delivery that an earlier release wrote has no times, and no code for its wait", () => {
  const view = read(`{${FACTS}}`);
  assert.deepEqual([view?.state, view?.reason, view?.times, view?.wait], ["retrying", "answered 500", null, null]);
});

test("what is not known of a later release, or is no time, is left out", () => {
  const wait = `"takenAtMs":${START_MS},"wait":"for-godot"`;
  const view = read(`{${FACTS},"times":[1,2,3,4],${wait},"more":1}`);
  assert.deepEqual([view?.times, view?.wait], [{ laneMs: 1, limiterMs: 2, deferredMs: 3, retryMs: 4 }, null]);
  for (const times of ["[1,2,3]", "[1,2,3,-4]", '"late"', "{}"]) {
    const damaged = read(`{${FACTS},"times":${times},${wait}}`);
    assert.deepEqual([damaged?.state, damaged?.times], ["retrying", null], times);
  }
});

/** As an earlier release writes the times of an event: each with its attempt. `ARGV` are those that it wrote. */
const WRITE_TIMES: RedisScript = {
  name: "test-write-times",
  returns: "text",
  lua: `redis.call('DEL', KEYS[1])
    for at = 1, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[at], ARGV[at + 1]) end
    return redis.call('ZCARD', KEYS[1])`,
};

async function attemptsInPages({ ledger }: LedgerHarness): Promise<readonly (readonly AttemptView[])[]> {
  const pages: (readonly AttemptView[])[] = [];
  let cursor: string | null = null;
  do {
    const { rows, next } = await ledger.attempts({ tenant: TENANT, eventId: "evt_a" }, 2, cursor);
    pages.push(rows);
    cursor = next;
  } while (cursor !== null);
  return pages;
}

const FIELD = `${ENDPOINT_ID}|0|`;

for (const { what, times } of [
  { what: "an earlier release wrote all but the first attempt", times: [2, 3] },
  { what: "an earlier release wrote all", times: [1, 2, 3] },
  { what: "an earlier release wrote none", times: null },
] as const) {
  test(`the attempts of an event, of which ${what}, are all listed, newest first`, async () => {
    await using harness = await openLedgerHarness()();
    const envelope = sampleEnvelope("evt_a");
    await harness.ledger.remember([envelope]);
    const atMs = (attempt: number): number => START_MS + attempt * 1000;
    for (const attempt of [1, 2, 3]) {
      harness.ledger.record([
        delivery(sampleRecord(envelope, { attempt, state: "retrying", result: FAILED, atMs: atMs(attempt) })),
      ]);
    }
    await harness.ledger.flush();
    if (times !== null) {
      const written = times.flatMap((attempt) => [atMs(attempt), `${FIELD}${attempt}`]);
      await harness.commands.run(WRITE_TIMES, [`${harness.keys.key(0, "ledger")}:times:${TENANT}:evt_a`], written);
    }
    const pages = await attemptsInPages(harness);
    assert.deepEqual(
      pages.map((rows) => rows.map(({ attempt }) => attempt)),
      [[3, 2], [1]],
    );
  });
}

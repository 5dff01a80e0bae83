/** The promises of the port `begun-attempts`: what was under way at a death is known to whoever comes after. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptKey } from "@posthaste/shared/ports/begun-attempts.ts";
import { BEGIN_MAX, BEGUN_KEPT_MS, BEGUN_MAX } from "@posthaste/shared/ports/begun-attempts.ts";
import { TENANT } from "../support/samples.ts";
import type { OpenHarness } from "./harness.ts";

const ATTEMPT: AttemptKey = { tenant: TENANT, eventId: "evt_a", endpointId: "ep_a", generation: 0, attempt: 1 };
const SIBLING: AttemptKey = { ...ATTEMPT, eventId: "evt_c" };
/** Differ in one part each. */
const OTHERS: readonly AttemptKey[] = [
  { ...ATTEMPT, tenant: "beta" },
  { ...ATTEMPT, eventId: "evt_b" },
  { ...ATTEMPT, endpointId: "ep_b" },
  { ...ATTEMPT, generation: 5 },
  { ...ATTEMPT, attempt: 2 },
];

export function begunAttemptsContract(name: string, open: OpenHarness): void {
  test(`${name} begun attempts: each beginning that never ended is counted, across the death of processes`, async () => {
    await using harness = await open();
    for (const unended of [0, 1, 2, 3]) {
      assert.equal(await harness.drivers.begunAttempts.unended(ATTEMPT), unended);
      await harness.drivers.begunAttempts.begin([ATTEMPT]);
      await harness.reopen();
    }
    for (const other of OTHERS) assert.equal(await harness.drivers.begunAttempts.unended(other), 0);
  });

  test(`${name} begun attempts: an end forgets all beginnings of its attempts, and of no other`, async () => {
    await using harness = await open();
    const { begunAttempts } = harness.drivers;
    for (const each of [ATTEMPT, ATTEMPT, SIBLING, ...OTHERS]) await begunAttempts.begin([each]);
    await begunAttempts.end([ATTEMPT, SIBLING]);
    await begunAttempts.end([ATTEMPT]);
    await begunAttempts.end([]);
    for (const ended of [ATTEMPT, SIBLING]) assert.equal(await begunAttempts.unended(ended), 0);
    for (const other of OTHERS) assert.equal(await begunAttempts.unended(other), 1);
  });

  test(`${name} begun attempts: those of a day ago are forgotten when others begin`, async () => {
    await using harness = await open();
    const { begunAttempts } = harness.drivers;
    await begunAttempts.begin([ATTEMPT]);
    await harness.clock.advance(BEGUN_KEPT_MS / 2);
    for (const other of OTHERS) await begunAttempts.begin([other]);
    await harness.clock.advance(BEGUN_KEPT_MS / 2);
    await begunAttempts.begin([SIBLING]);
    assert.equal(await begunAttempts.unended(ATTEMPT), 0);
    for (const other of OTHERS) assert.equal(await begunAttempts.unended(other), 1);
  });

  test(`${name} begun attempts: beginnings at the same time are all counted, a whole group in one call`, async () => {
    await using harness = await open();
    const { begunAttempts } = harness.drivers;
    const group = Array.from({ length: BEGIN_MAX }, (_, index) => ({ ...ATTEMPT, eventId: `evt_${index}` }));
    await Promise.all([1, 2, 3].map(() => begunAttempts.begin(group)));
    for (const index of [0, 500, BEGIN_MAX - 1]) {
      assert.equal(await begunAttempts.unended({ ...ATTEMPT, eventId: `evt_${index}` }), 3);
    }
    await begunAttempts.end(group);
    assert.equal(await begunAttempts.unended({ ...ATTEMPT, eventId: "evt_0" }), 0);
  });

  test(`${name} begun attempts: past ${BEGUN_MAX} the oldest make room`, async () => {
    await using harness = await open();
    const { begunAttempts } = harness.drivers;
    await begunAttempts.begin([ATTEMPT]);
    await harness.clock.advance(1);
    for (let from = 0; from < BEGUN_MAX; from += BEGIN_MAX) {
      await begunAttempts.begin(
        Array.from({ length: BEGIN_MAX }, (_, index) => ({ ...ATTEMPT, eventId: `evt_${from + index}` })),
      );
    }
    assert.equal(await begunAttempts.unended(ATTEMPT), 0);
    assert.equal(await begunAttempts.unended({ ...ATTEMPT, eventId: `evt_${BEGUN_MAX - 1}` }), 1);
  });
}

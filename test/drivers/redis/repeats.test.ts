/** After a restart a whole backlog are repeats: what is asked and noted of them in one turn shares a script, and each has its own answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDamage } from "@posthaste/shared/domain/errors.ts";
import { createRedisBegunAttempts } from "@posthaste/shared/drivers/redis/begun-attempts.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createRedisLedger, ledgerEventKey } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { AttemptKey } from "@posthaste/shared/ports/begun-attempts.ts";
import { BEGIN_MAX } from "@posthaste/shared/ports/begun-attempts.ts";
import { openRedisHarness } from "./harness.ts";
import { delivery } from "./ledger-harness.ts";
import { createSwitchedCommands } from "./switch.ts";
import { ENDPOINT_ID, START_MS, TENANT, sampleEnvelopes, sampleRecord } from "../../support/samples.ts";

const REPEATS = 40;
const BY_HAND: RedisScript = { name: "by-hand", returns: "text", lua: "return redis.call('SET', KEYS[1], 'junk')" };

const openHarness = openRedisHarness(() => ({}));

function attemptOf(eventId: string): AttemptKey {
  return { tenant: TENANT, eventId, endpointId: ENDPOINT_ID, generation: 0, attempt: 1 };
}

test("redis ledger: what is made of the repeats of one turn is asked in one script, each for itself", async () => {
  await using harness = await openHarness();
  const { commands, scripts } = createSwitchedCommands(harness.commands);
  const { keys } = harness;
  const onLost = (): void => assert.fail("nothing is lost");
  const ledger = createRedisLedger({ commands, keys, clock: systemClock, spill: null, onLost });
  const envelopes = sampleEnvelopes(REPEATS);
  await ledger.remember(envelopes);
  ledger.record(envelopes.filter((_, index) => index % 2 === 0).map((envelope) => delivery(sampleRecord(envelope))));
  await ledger.flush();
  // Damaged are one that was delivered and one that was not.
  const damaged = new Set([6, 7]);
  for (const index of damaged) {
    const event = ledgerEventKey(keys, TENANT, envelopes[index]?.id ?? "");
    await commands.run(BY_HAND, [event.replace(":event:", ":deliveries:")], []);
  }
  const before = scripts.length;
  const asked = envelopes.map(({ id }) => ledger.isCompleted({ ...attemptOf(id), acceptedAtMs: START_MS }, 1));
  const answers = await Promise.allSettled(asked);
  assert.deepEqual(scripts.slice(before), ["ledger-read-completed"]);
  answers.forEach((answer, index) => {
    if (damaged.has(index)) assert.ok(answer.status === "rejected" && isDamage(answer.reason), `${index}`);
    else assert.deepEqual(answer, { status: "fulfilled", value: index % 2 === 0 });
  });
});

test("redis begun attempts: those of one turn are counted, noted and ended in one script each", async () => {
  await using harness = await openHarness();
  const { commands, scripts } = createSwitchedCommands(harness.commands);
  const begun = createRedisBegunAttempts({ commands, keys: harness.keys, clock: systemClock });
  const attempts = Array.from({ length: REPEATS }, (_, index) => attemptOf(`evt_${index}`));
  const unended = (): Promise<number[]> => Promise.all(attempts.map((attempt) => begun.unended(attempt)));
  const all = (count: number): number[] => attempts.map(() => count);
  assert.deepEqual(await unended(), all(0));
  await Promise.all(attempts.map((attempt) => begun.begin([attempt])));
  assert.deepEqual(await unended(), all(1));
  await Promise.all(attempts.slice(0, 3).map((attempt) => begun.begin([attempt])));
  assert.deepEqual(await unended(), [2, 2, 2, ...all(1).slice(3)]);
  await Promise.all(attempts.map((attempt) => begun.end([attempt])));
  assert.deepEqual(await unended(), all(0));
  const [count, begin, end] = ["count-unended", "begin-attempts", "end-attempts"];
  assert.deepEqual(scripts, [count, begin, count, begin, count, end, count]);
});

test("redis begun attempts: groups of the largest size have scripts of their own", async () => {
  await using harness = await openHarness();
  const { commands, scripts } = createSwitchedCommands(harness.commands);
  const begun = createRedisBegunAttempts({ commands, keys: harness.keys, clock: systemClock });
  const groups = [0, 1, 2].map((group) =>
    Array.from({ length: BEGIN_MAX }, (_, index) => attemptOf(`evt_${group}_${index}`)),
  );
  await Promise.all(groups.map((group) => begun.begin(group)));
  assert.deepEqual(await Promise.all(groups.map(([first = attemptOf("none")]) => begun.unended(first))), [1, 1, 1]);
  await Promise.all(groups.map((group) => begun.end(group)));
  assert.deepEqual(await Promise.all(groups.map(([first = attemptOf("none")]) => begun.unended(first))), [0, 0, 0]);
  assert.deepEqual(scripts, [
    ...Array(3).fill("begin-attempts"),
    "count-unended",
    ...Array(3).fill("end-attempts"),
    "count-unended",
  ]);
});

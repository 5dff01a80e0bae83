/** Dead letters whose event was delivered since, on a log with their index in Redis: what it costs, and what a crash leaves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRedisDeadLetterIndex } from "@posthaste/shared/drivers/redis/dead-letters/index-store.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import { openRedisHarness } from "../redis/harness.ts";
import { ENDPOINT_ID, START_MS, TENANT, sampleDeadLetter, sampleEnvelope } from "../../support/samples.ts";
import { TAKEOVER_MS, lettersOpener } from "./dead-letters-harness.ts";

const delivered = (eventId: string, tenant = TENANT) => ({ tenant, eventId, endpointId: ENDPOINT_ID, atMs: START_MS });

test("removeDelivered() that dies behind its tombstones is made up for by whoever reads the record", async () => {
  await using harness = await lettersOpener()();
  await harness.letters.append([sampleDeadLetter("dlv_a"), sampleDeadLetter("dlv_b")]);
  harness.isIndexAway = true;
  await assert.rejects(harness.letters.removeDelivered([delivered("evt_of_dlv_a")]));
  assert.notEqual(await harness.letters.find("dlv_a"), null, "it stands as it did");
  await harness.reopen();
  harness.isIndexAway = false;
  await harness.clock.advance(TAKEOVER_MS);
  assert.equal(await harness.letters.find("dlv_a"), null);
  assert.notEqual(await harness.letters.find("dlv_b"), null);
  assert.deepEqual(await harness.letters.removeDelivered([delivered("evt_of_dlv_a")]), []);
});

test("removeDelivered() tells whose letters went, so that the ledger keeps no event for them", async () => {
  await using harness = await lettersOpener({ shards: 3 })();
  const held = sampleDeadLetter("dlv_a", { state: "paused" });
  await harness.letters.append([held]);
  const ended = await harness.letters.removeDelivered([delivered("evt_of_dlv_a")]);
  assert.deepEqual(
    ended.map(({ id, state }) => [id, state]),
    [["dlv_a", "paused"]],
  );
  assert.deepEqual(
    harness.removed.map(({ eventId, endpointId }) => [eventId, endpointId]),
    [["evt_of_dlv_a", ENDPOINT_ID]],
  );
});

test("the index is asked once for all deliveries of a shard, whatever else is dead of their events and endpoint", async () => {
  await using harness = await openRedisHarness(() => ({}), { shards: 2 })();
  const ran: string[] = [];
  const index = createRedisDeadLetterIndex({
    commands: {
      run(script, keys, args) {
        ran.push(script.name);
        return harness.commands.run(script, keys, args);
      },
    },
    keys: harness.keys,
  });
  const shared = sampleEnvelope("evt_shared");
  const letters: DeadLetter[] = [];
  for (let n = 0; n < 200; n++)
    letters.push(sampleDeadLetter(`dlv_event_${n}`, { envelope: shared, endpointId: `ep_${n}` }));
  for (let n = 0; n < 50; n++) letters.push(sampleDeadLetter(`dlv_endpoint_${n}`));
  letters.push(sampleDeadLetter("dlv_own", { envelope: shared }));
  await index.put(letters.map((deadLetter) => ({ deadLetter, revision: "1", place: null })));
  ran.length = 0;
  const asked = [delivered("evt_shared"), ...Array.from({ length: 400 }, (_, n) => delivered(`evt_none_${n}`))];
  const found = await index.delivered(asked);
  assert.deepEqual(
    found.map(({ id }) => id),
    ["dlv_own"],
  );
  assert.deepEqual(ran, ["dead-letters-delivered"]);
});

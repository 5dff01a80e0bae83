/** A page of a list in Redis takes as much wherever it lies, although all that there is has the same time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { createRedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { createModelCommands, directLink } from "../../support/redis-model/model-commands.ts";
import { createRedisModel } from "../../support/redis-model/redis-model.ts";
import { START_MS, TENANT, sampleEnvelope } from "../../support/samples.ts";

/** Places of events that are gone, before those of the events that there are. */
const GONE = 20_000;
const EVENTS = 30;
/** For a part of a page: those it looks at, by hundreds, and what finds its first. */
const ON_LIST_MAX = 8 * (6 + 2 + 16);

function openLedger() {
  const clock = createManualClock(START_MS);
  const keys = createKeySpace({ shards: 1, prefix: "" });
  let onList = 0;
  const model = createRedisModel(clock.now, (name) => {
    if (/^(?:ZREV|ZCOUNT)/.test(name)) onList += 1;
  });
  const commands = createModelCommands({ model, link: directLink, clock });
  const onLost = (): void => assert.fail("nothing is lost");
  const ledger = createRedisLedger({ commands, keys, clock, spill: null, onLost });
  const fill = `for id = 1, ${GONE} do redis.call('ZADD', KEYS[1], ${START_MS}, '${TENANT}|evt_~' .. id) end return 1`;
  return {
    ledger,
    fillWithGone: () =>
      model.run({ name: "fill", lua: fill, returns: "text" }, [`${keys.key(0, "ledger")}:events`], []),
    onListSince: () => {
      const count = onList;
      onList = 0;
      return count;
    },
  };
}

const envelopes = Array.from({ length: EVENTS }, (_, index) => sampleEnvelope(`evt_${String(index).padStart(3, "0")}`));
const newestFirst = envelopes.map(({ id }) => id).toReversed();

test("a page behind 20,000 places of one time asks the list no more often than the first page", async () => {
  const { ledger, fillWithGone, onListSince } = openLedger();
  await ledger.remember(envelopes);
  fillWithGone();
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    onListSince();
    const page: Awaited<ReturnType<typeof ledger.events>> = await ledger.events({ tenant: null }, 10, cursor);
    const asked = onListSince();
    assert.ok(asked <= ON_LIST_MAX, `${asked} commands`);
    found.push(...page.rows.map(({ envelope }) => envelope.id));
    cursor = page.next;
  } while (cursor !== null);
  assert.deepEqual(found, newestFirst);
});

test("events of one time are each listed once, also behind a cursor whose own event is gone", async () => {
  const { ledger } = openLedger();
  await ledger.remember(envelopes);
  const first = await ledger.events({ tenant: TENANT }, 7, null);
  const last = first.rows.at(-1);
  assert.ok(last);
  await ledger.forget([last.envelope]);
  const untilMs = START_MS + 1;
  const second = await ledger.events({ tenant: TENANT, sinceMs: START_MS, untilMs }, EVENTS, first.next);
  assert.deepEqual(
    [...first.rows, ...second.rows].map(({ envelope }) => envelope.id),
    newestFirst,
  );
  assert.equal(second.next, null);
  assert.deepEqual((await ledger.events({ tenant: TENANT, untilMs: START_MS }, 7, first.next)).rows, []);
  assert.deepEqual((await ledger.events({ tenant: TENANT, sinceMs: START_MS + 1 }, 7, first.next)).rows, []);
});

/** A page of a list in Redis takes as much wherever it lies, although all that there is has the same time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { LOOKED_MAX, PARTS_MAX } from "@posthaste/shared/drivers/redis/ledger/pages.ts";
import { LIST_EVENTS } from "@posthaste/shared/drivers/redis/ledger/read-scripts.ts";
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

function openLedger(shards = 1) {
  const clock = createManualClock(START_MS);
  const keys = createKeySpace({ shards, prefix: "" });
  const asked: { readonly rows: number; readonly places: number }[] = [];
  let onList = 0;
  const model = createRedisModel(clock.now, (name) => {
    if (/^(?:ZREV|ZCOUNT)/.test(name)) onList += 1;
  });
  const inner = createModelCommands({ model, link: directLink, clock });
  const commands: typeof inner = {
    ...inner,
    run(script, names, args) {
      if (script === LIST_EVENTS) asked.push({ rows: Number(args[0]), places: Number(args[1]) });
      return inner.run(script, names, args);
    },
  };
  const onLost = (): void => assert.fail("nothing is lost");
  const ledger = createRedisLedger({ commands, keys, clock, spill: null, onLost });
  const fill = `for id = 1, ${GONE} do redis.call('ZADD', KEYS[1], ${START_MS}, '${TENANT}|evt_~' .. id) end return 1`;
  return {
    ledger,
    asked,
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

/** The newest first: by time, of one time by tenant and id. */
const spread = Array.from({ length: 400 }, (_, index) =>
  sampleEnvelope(`evt_${String(index).padStart(3, "0")}`, {
    tenant: `tenant-${index % 40}`,
    acceptedAtMs: START_MS - Math.floor(index / 50),
    type: index % 10 === 3 ? "rare.one" : "order.paid",
  }),
);

test("a page of sixteen shards looks at as many places as one of a single shard, and all pages show the same", async () => {
  const [one, many] = [openLedger(), openLedger(16)];
  for (const { ledger } of [one, many]) await ledger.remember(spread);
  for (const [type, limit] of [
    [undefined, 30],
    [undefined, 400],
    ["rare.one", 7],
  ] as const) {
    const of = async ({ ledger, asked }: typeof one, scriptsMax: number): Promise<readonly string[]> => {
      const found: string[] = [];
      let cursor: string | null = null;
      do {
        asked.length = 0;
        const filter = { tenant: null, ...(type === undefined ? {} : { type }) };
        const page: Awaited<ReturnType<typeof ledger.events>> = await ledger.events(filter, limit, cursor);
        assert.ok(asked.length <= scriptsMax, `${asked.length} scripts`);
        assert.ok(asked.reduce((sum, { places }) => sum + places, 0) <= LOOKED_MAX * PARTS_MAX);
        assert.ok(asked.reduce((sum, { rows }) => sum + rows, 0) <= 4 * limit + 3 * 16);
        found.push(...page.rows.map(({ envelope }) => envelope.id));
        cursor = page.next;
      } while (cursor !== null);
      return found;
    };
    const whole = await of(one, PARTS_MAX);
    assert.equal(whole.length, type === undefined ? 400 : 40);
    assert.deepEqual(await of(many, 16 + PARTS_MAX - 1), whole);
  }
});

test("a page is full where one shard of many has all there is", async () => {
  const { ledger } = openLedger(16);
  await ledger.remember(envelopes);
  const { rows, next } = await ledger.events({ tenant: null }, EVENTS - 1, null);
  assert.deepEqual(
    rows.map(({ envelope }) => envelope.id),
    newestFirst.slice(0, -1),
  );
  assert.notEqual(next, null);
});

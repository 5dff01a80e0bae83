/** The index of dead letters in Redis: what is idempotent, what does not come back, its bounds, and lists over shards. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRedisDeadLetterIndex } from "@posthaste/shared/drivers/redis/dead-letters/index-store.ts";
import { LOOKED_MAX, PARTS_MAX } from "@posthaste/shared/drivers/redis/ledger/pages.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeadLetterIndex, IndexedDeadLetter, DeadLetterPlace } from "@posthaste/shared/ports/dead-letter-index.ts";
import { readAll, withCode } from "../../contract/harness.ts";
import type { RedisHarness } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import { START_MS, TENANT, sampleDeadLetter, sampleEnvelope } from "../../support/samples.ts";

const EVERYTHING = { tenant: null } as const;
const DAY_MS = 24 * 3600_000;

interface IndexHarness extends RedisHarness {
  readonly index: DeadLetterIndex;
  /** Scripts that were run, by name. */
  readonly ran: string[];
}

interface Bounds {
  readonly shards?: number;
  readonly bytesMax?: number;
  readonly countMax?: number;
}

async function openIndex({ shards = 1, ...bounds }: Bounds = {}): Promise<IndexHarness> {
  const inner = await openRedisHarness(() => ({}), { shards })();
  const ran: string[] = [];
  const commands: Pick<RedisHarness["commands"], "run"> = {
    run(script, keys, args) {
      ran.push(script.name);
      return inner.commands.run(script, keys, args);
    },
  };
  const index = createRedisDeadLetterIndex({ commands, keys: inner.keys, ...bounds });
  return Object.defineProperties({} as IndexHarness, {
    ...Object.getOwnPropertyDescriptors(inner),
    index: { value: index },
    ran: { value: ran },
  });
}

function indexed(letter: DeadLetter, revision = "1", place: DeadLetterPlace | null = null): IndexedDeadLetter {
  return { deadLetter: letter, revision, place };
}

function ofTenant(tenant: string, id: string, parts: Partial<DeadLetter> = {}): DeadLetter {
  return sampleDeadLetter(id, { envelope: sampleEnvelope(`evt_${id}`, { tenant }), ...parts });
}

function weighing(bytes: number, id: string, atMs: number, tenant = TENANT): IndexedDeadLetter {
  const envelope = sampleEnvelope(`evt_${id}`, { tenant, body: new Uint8Array(bytes) });
  return indexed(sampleDeadLetter(id, { atMs, envelope }));
}

async function idsOf(index: DeadLetterIndex): Promise<string[]> {
  const { rows } = await index.list(EVERYTHING, 1000, null);
  return rows.map(({ id }) => id);
}

const at = (offset: number, partition = 0): DeadLetterPlace => ({ partition, offset });
const dropOf = (id: string, revision: string | null = "1", place: DeadLetterPlace | null = null) => ({
  id,
  revision,
  place,
});

test("a put that is repeated changes nothing, whether its place is known or not", async () => {
  await using harness = await openIndex();
  const letter = sampleDeadLetter("dlv_a");
  await harness.index.put([indexed(letter)]);
  await harness.index.put([indexed(letter, "1", at(7)), indexed(letter)]);
  assert.deepEqual((await harness.index.list(EVERYTHING, 10, null)).rows, [letter]);
});

test("a letter that was dropped does not come back by a repeat of its put, within a day", async () => {
  await using harness = await openIndex();
  const letter = indexed(sampleDeadLetter("dlv_a"));
  await harness.index.put([letter]);
  await harness.index.drop([dropOf("dlv_a")]);
  await harness.clock.advance(DAY_MS - 1);
  await harness.index.put([letter]);
  assert.equal(await harness.index.find("dlv_a"), null);
});

test("a put that comes after the drop of its letter does nothing", async () => {
  await using harness = await openIndex();
  assert.deepEqual(await harness.index.drop([dropOf("dlv_a")]), []);
  await harness.index.put([indexed(sampleDeadLetter("dlv_a"))]);
  assert.equal(await harness.index.find("dlv_a"), null);
});

test("repeats and older news that were refused do not turn up when the letter is dropped", async () => {
  await using harness = await openIndex();
  const letter = sampleDeadLetter("dlv_a", { state: "dead", attempts: 3 });
  const repeat = indexed({ ...letter, atMs: START_MS + 1000 }, "repeat");
  const older = indexed({ ...letter, state: "paused", attempts: 1, atMs: START_MS - 1000 }, "older");
  await harness.index.put([indexed(letter), repeat, older]);
  await harness.index.drop([dropOf("dlv_a")]);
  await harness.index.put([repeat, older]);
  assert.equal(await harness.index.find("dlv_a"), null);
});

test("later news replace a letter, and the news before it does not come back", async () => {
  await using harness = await openIndex();
  const held = indexed(sampleDeadLetter("dlv_a", { state: "paused", attempts: 1 }), "held");
  const dead = indexed(sampleDeadLetter("dlv_a", { state: "dead", attempts: 2, atMs: START_MS + 1 }), "dead");
  await harness.index.put([held]);
  await harness.index.put([dead]);
  await harness.index.put([held]);
  assert.deepEqual(await harness.index.find("dlv_a"), dead.deadLetter);
  assert.equal(await harness.index.count({ tenant: TENANT, state: "paused" }), 0);
});

test("a drop of older news leaves newer ones where they are", async () => {
  await using harness = await openIndex();
  await harness.index.put([indexed(sampleDeadLetter("dlv_a"), "2")]);
  assert.deepEqual(await harness.index.drop([dropOf("dlv_a", "1")]), []);
  assert.notEqual(await harness.index.find("dlv_a"), null);
});

test("a tombstone takes out what the record has before it, and nothing after it or in another partition", async () => {
  await using harness = await openIndex();
  for (const [id, place] of [
    ["dlv_before", at(4)],
    ["dlv_after", at(6)],
    ["dlv_other", at(4, 1)],
  ] as const) {
    await harness.index.put([indexed(sampleDeadLetter(id), "2", place)]);
    await harness.index.drop([dropOf(id, "1", at(5))]);
    await harness.index.drop([dropOf(id, null, at(5))]);
  }
  await harness.index.put([indexed(sampleDeadLetter("dlv_unplaced"), "2")]);
  await harness.index.drop([dropOf("dlv_unplaced", null, at(5))]);
  assert.deepEqual((await idsOf(harness.index)).toSorted(), ["dlv_after", "dlv_other", "dlv_unplaced"]);
});

test("a drop without revision and place takes out whatever is there, and tells what it was", async () => {
  await using harness = await openIndex();
  const letter = sampleDeadLetter("dlv_a", { attempts: 4, generation: 9 });
  await harness.index.put([indexed(letter)]);
  const { tenant, eventId, endpointId } = letter;
  assert.deepEqual(await harness.index.drop([dropOf("dlv_a", null)]), [
    {
      id: "dlv_a",
      revision: "1",
      tenant,
      eventId,
      endpointId,
      generation: 9,
      eventType: "order.paid",
      state: "dead",
      attempts: 4,
    },
  ]);
  assert.equal(await harness.index.count(EVERYTHING), 0);
});

const LIST_KEYS: RedisScript = {
  name: "test-keys",
  returns: "text",
  lua: `
local left = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. ':*')) do left[#left + 1] = string.sub(key, #KEYS[1] + 1) end
table.sort(left)
return left`,
};

test("of letters that were dropped nothing is left but a mark for a day, and that is cleared away", async () => {
  await using harness = await openIndex();
  await harness.index.put([indexed(sampleDeadLetter("dlv_a"), "1", at(1)), indexed(ofTenant("globex", "dlv_b"))]);
  await harness.index.drop([dropOf("dlv_a"), dropOf("dlv_b")]);
  const keysLeft = () => harness.commands.run(LIST_KEYS, [harness.keys.key(0, "dead")], []);
  assert.deepEqual(await keysLeft(), [":bytes", ":gone"]);
  await harness.clock.advance(DAY_MS + 1);
  await harness.index.drop([dropOf("dlv_none", null)]);
  assert.deepEqual(await keysLeft(), [":bytes"]);
});

test("past the bytes the oldest of the tenant that keeps most make room; each is told until it is dropped", async () => {
  await using harness = await openIndex({ bytesMax: 100_000 });
  const { index } = harness;
  await index.put([
    weighing(30_000, "dlv_quiet", 1, "quiet"),
    weighing(30_000, "dlv_a", 2),
    weighing(30_000, "dlv_b", 3),
  ]);
  const told = await index.put([weighing(30_000, "dlv_c", 4)]);
  assert.deepEqual(
    told.map(({ id, tenant }) => [id, tenant]),
    [["dlv_a", TENANT]],
  );
  assert.deepEqual(await idsOf(index), ["dlv_c", "dlv_b", "dlv_quiet"]);
  // Who was told may have died before anything was done about it.
  assert.deepEqual(await index.put([weighing(30_000, "dlv_c", 4)]), told);
  await index.drop(told.map(({ id, revision }) => dropOf(id, revision)));
  assert.deepEqual(await index.put([weighing(30_000, "dlv_c", 4)]), []);
});

test("what made room is told no more once later news of it are there", async () => {
  await using harness = await openIndex({ bytesMax: 50_000 });
  await harness.index.put([weighing(30_000, "dlv_a", 1)]);
  await harness.index.put([weighing(30_000, "dlv_b", 2)]);
  await harness.index.drop([dropOf("dlv_b")]);
  const back = weighing(30_000, "dlv_a", 3);
  assert.deepEqual(await harness.index.put([{ ...back, revision: "2" }]), []);
  assert.deepEqual(await idsOf(harness.index), ["dlv_a"]);
});

test("letters are bounded in number, too, however small they are", async () => {
  await using harness = await openIndex({ countMax: 3 });
  await harness.index.put(Array.from({ length: 5 }, (_, index) => weighing(index, `dlv_${index}`, index)));
  assert.deepEqual(await idsOf(harness.index), ["dlv_4", "dlv_3", "dlv_2"]);
});

test("each shard has its equal part of the bounds", async () => {
  await using harness = await openIndex({ shards: 2, bytesMax: 200_000 });
  const { index, keys } = harness;
  const tenants = ["acme", "globex", "initech", "umbrella", "hooli"];
  const [zero, one] = [0, 1].map((shard) => tenants.find((tenant) => keys.shardOf(tenant) === shard));
  assert.ok(zero !== undefined && one !== undefined);
  await index.put([weighing(90_000, "dlv_one", 1, one)]);
  await index.put([1, 2, 3].map((atMs) => weighing(40_000, `dlv_${atMs}`, atMs, zero)));
  assert.deepEqual((await idsOf(index)).toSorted(), ["dlv_2", "dlv_3", "dlv_one"]);
});

test("many letters at once are put in parts of bounded size, and all are there", async () => {
  await using harness = await openIndex();
  const many = Array.from({ length: 250 }, (_, index) => weighing(10, `dlv_${index}`, index));
  await harness.index.put(many);
  assert.equal(harness.ran.filter((name) => name === "dead-letters-put").length, 3);
  const large = Array.from({ length: 4 }, (_, index) => weighing(1_500_000, `dlv_large_${index}`, index));
  await harness.index.put(large);
  assert.equal(harness.ran.filter((name) => name === "dead-letters-put").length, 5);
  assert.equal(await harness.index.count(EVERYTHING), 254);
});

test("find() and drop() know a letter by its id alone, whatever its shard", async () => {
  await using harness = await openIndex({ shards: 3 });
  const letters = ["acme", "globex", "initech", "umbrella"].map((tenant) => ofTenant(tenant, `dlv_${tenant}`));
  await harness.index.put(letters.map((letter) => indexed(letter)));
  for (const letter of letters) assert.deepEqual(await harness.index.find(letter.id), letter);
  const ids = letters.map(({ id }) => id);
  const dropped = await harness.index.drop([...ids, "dlv_none"].map((id) => dropOf(id)));
  assert.deepEqual(dropped.map(({ id }) => id).toSorted(), ids.toSorted());
  assert.equal(await harness.index.count(EVERYTHING), 0);
});

test("pages of the operator go through all shards in order of time, each letter once", async () => {
  await using harness = await openIndex({ shards: 3 });
  const tenants = ["acme", "globex", "initech", "umbrella"] as const;
  const letters = Array.from({ length: 40 }, (_, index) =>
    ofTenant(tenants[index % 4] ?? TENANT, `dlv_${String(index).padStart(2, "0")}`, {
      atMs: START_MS + Math.floor(index / 3),
    }),
  );
  await harness.index.put(letters.map((letter) => indexed(letter)));
  const pages = await readAll((cursor) => harness.index.list(EVERYTHING, 7, cursor));
  assert.deepEqual(
    pages.flat().map(({ id }) => id),
    letters.map(({ id }) => id).toReversed(),
  );
});

test("a tenant sees and counts nothing of another's endpoint or event", async () => {
  await using harness = await openIndex();
  await harness.index.put([indexed(ofTenant("globex", "dlv_a", { endpointId: "ep_globex" }))]);
  for (const filter of [{ endpointId: "ep_globex" }, { eventId: "evt_dlv_a" }]) {
    assert.equal(await harness.index.count({ tenant: TENANT, ...filter }), 0);
    assert.deepEqual((await harness.index.list({ tenant: TENANT, ...filter }, 10, null)).rows, []);
    assert.equal(await harness.index.count({ tenant: "globex", ...filter }), 1);
    assert.equal(await harness.index.count({ tenant: null, ...filter }), 1);
  }
});

/** Puts by the thousand, without bodies to speak of. */
async function putMany(index: DeadLetterIndex, count: number): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    const length = Math.min(1000, count - from);
    await index.put(Array.from({ length }, (_, step) => weighing(1, `dlv_${from + step}`, START_MS + from + step)));
  }
}

test("a page with a rare filter costs a bounded number of bounded scripts and goes on by its cursor", async () => {
  await using harness = await openIndex();
  const { index, ran } = harness;
  const total = LOOKED_MAX * PARTS_MAX + 500;
  await putMany(index, total);
  const rare = sampleDeadLetter("dlv_rare", { state: "backlog", atMs: START_MS - 1 });
  await index.put([indexed(rare)]);
  ran.length = 0;
  const first = await index.list({ tenant: TENANT, state: "backlog" }, 10, null);
  assert.deepEqual(first.rows, []);
  assert.equal(ran.length, PARTS_MAX);
  const second = await index.list({ tenant: TENANT, state: "backlog" }, 10, first.next);
  assert.deepEqual(second, { rows: [rare], next: null });
  assert.equal(await index.count({ tenant: TENANT, state: "backlog" }), 1);
  assert.equal(await index.count({ tenant: TENANT, state: "dead" }), total);
});

test("a cursor of another list and one that was tampered with are refused", async () => {
  await using harness = await openIndex();
  await harness.index.put([indexed(sampleDeadLetter("dlv_a")), indexed(sampleDeadLetter("dlv_b"))]);
  const { next } = await harness.index.list(EVERYTHING, 1, null);
  assert.ok(next !== null);
  const foreign = Buffer.from(Buffer.from(next, "base64url").toString().replace("dead-letters", "events"));
  for (const cursor of [foreign.toString("base64url"), `${next}A`, ""]) {
    await assert.rejects(harness.index.list(EVERYTHING, 1, cursor), withCode("invalid-cursor"));
  }
});

test("while Redis does not answer everything rejects with store-unavailable", async () => {
  await using harness = await openIndex();
  const away = { run: () => Promise.reject(new PosthasteError("store-unavailable", "Redis is away.")) };
  const index = createRedisDeadLetterIndex({ commands: away, keys: harness.keys });
  const calls = [
    () => index.put([indexed(sampleDeadLetter("dlv_a"))]),
    () => index.drop([dropOf("dlv_a")]),
    () => index.find("dlv_a"),
    () => index.list(EVERYTHING, 1, null),
    () => index.count(EVERYTHING),
  ];
  for (const call of calls) await assert.rejects(call(), withCode("store-unavailable"));
});

for (const [what, lua] of [
  ["whose envelope does not unpack", "redis.call('HSET', KEYS[1] .. ':bodies', 'dlv_bad', 'no envelope')"],
  ["whose facts are no JSON of ours", `redis.call('HSET', KEYS[1] .. ':meta', 'dlv_bad', '{"tenant":"${TENANT}"}')`],
] as const) {
  test(`a dead letter ${what} costs itself alone: the others are listed, counted and found`, async () => {
    await using harness = await openIndex();
    const good = sampleDeadLetter("dlv_good");
    await harness.index.put([indexed(sampleDeadLetter("dlv_bad", { atMs: START_MS + 1 })), indexed(good)]);
    await harness.commands.run({ name: "test-spoil", returns: "text", lua }, [harness.keys.key(0, "dead")], []);
    assert.deepEqual((await harness.index.list({ tenant: TENANT }, 10, null)).rows, [good]);
    assert.deepEqual(await harness.index.find("dlv_good"), good);
    assert.equal(await harness.index.find("dlv_bad"), null);
  });
}

/** A row of Redis that does not read back costs itself: lists, look-ups, counts and writes of its tenant go on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRedisClaims } from "@posthaste/shared/drivers/redis/claims.ts";
import { jsonOf, numberOf } from "@posthaste/shared/drivers/redis/client/reply.ts";
import { isDamage } from "@posthaste/shared/domain/errors.ts";
import { withCode } from "../../contract/harness.ts";
import { createRedisDeadLetterIndex } from "@posthaste/shared/drivers/redis/dead-letters/index-store.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { FAILED, delivery, openLedgerHarness } from "./ledger-harness.ts";
import type { RedisHarness } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import {
  ENDPOINT_ID,
  START_MS,
  TENANT,
  sampleDeadLetter,
  sampleEnvelope,
  sampleRecord,
} from "../../support/samples.ts";

const byHand = (lua: string): RedisScript => ({ name: "by-hand", returns: "text", lua });
const SET_FIELD = byHand("return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])");
const DROP_FIELD = byHand("return redis.call('HDEL', KEYS[1], ARGV[1])");
const ADD_MEMBER = byHand("return redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])");

type Harm = (harness: RedisHarness, root: string) => Promise<unknown>;

/** To the dead letter `dlv_b`. */
const HARMS: Readonly<Record<string, Harm>> = {
  "facts that are no JSON": ({ commands }, root) => commands.run(SET_FIELD, [`${root}:meta`], ["dlv_b", "{"]),
  "facts of another kind": ({ commands }, root) => commands.run(SET_FIELD, [`${root}:meta`], ["dlv_b", "[1]"]),
  "facts of wrong types": ({ commands }, root) =>
    commands.run(
      SET_FIELD,
      [`${root}:meta`],
      [
        "dlv_b",
        JSON.stringify({ revision: "1", bytes: 1, tenant: TENANT, endpoint: ENDPOINT_ID, event: "evt_b", state: 5 }),
      ],
    ),
  "an envelope that does not unpack": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:bodies`], ["dlv_b", "garbage"]),
  "an envelope of another time": ({ commands }, root) =>
    commands.run(
      SET_FIELD,
      [`${root}:bodies`],
      [
        "dlv_b",
        '{"id":"evt.b","tenant":"a b","type":"a","priority":"LOW","accepted":"999999999999999","directory":"1"}\n{}',
      ],
    ),
  "no envelope": ({ commands }, root) => commands.run(DROP_FIELD, [`${root}:bodies`], ["dlv_b"]),
  "no facts": ({ commands }, root) => commands.run(DROP_FIELD, [`${root}:meta`], ["dlv_b"]),
};

const TOLD: ReadonlySet<string> = new Set([
  "facts of wrong types",
  "an envelope that does not unpack",
  "an envelope of another time",
]);

for (const [name, harm] of Object.entries(HARMS)) {
  test(`dead letters in redis: ${name} cost that letter alone`, async () => {
    await using harness = await openRedisHarness(() => ({}))();
    const { commands, keys } = harness;
    const told: unknown[] = [];
    const index = createRedisDeadLetterIndex({
      commands,
      keys,
      countMax: 3,
      onFault: (error) => void told.push(error),
    });
    const letters = ["dlv_a", "dlv_b", "dlv_c"].map((id, at) => sampleDeadLetter(id, { atMs: START_MS + at }));
    const indexed = letters.map((deadLetter) => ({ deadLetter, revision: "1", place: null }));
    await index.put(indexed);
    await harm(harness, keys.key(0, "dead"));
    const idsOf = async (filter: Parameters<typeof index.list>[0]) =>
      (await index.list(filter, 1, null)).rows.concat((await index.list(filter, 10, null)).rows).map(({ id }) => id);
    for (const filter of [{ tenant: TENANT }, { tenant: null }, { tenant: TENANT, endpointId: ENDPOINT_ID }]) {
      assert.deepEqual(await idsOf(filter), ["dlv_c", "dlv_c", "dlv_a"]);
      assert.equal(typeof (await index.count(filter)), "number");
    }
    // What the script itself cannot read it leaves out in silence.
    if (TOLD.has(name)) assert.ok(told.length > 0 && told.every(isDamage));
    assert.equal(await index.find("dlv_b"), null);
    assert.notEqual(await index.find("dlv_a"), null);
    // Two more make two of the oldest leave, the harmed one among them.
    await index.put(
      ["dlv_d", "dlv_e"].map((id, at) => ({
        deadLetter: sampleDeadLetter(id, { atMs: START_MS + 10 + at }),
        revision: "1",
        place: null,
      })),
    );
    assert.deepEqual(await idsOf({ tenant: TENANT }), ["dlv_e", "dlv_e", "dlv_d", "dlv_c"]);
    await index.drop(["dlv_a", "dlv_b", "dlv_c"].map((id) => ({ id, revision: "1", place: null })));
    assert.deepEqual(await idsOf({ tenant: TENANT }), ["dlv_e", "dlv_e", "dlv_d"]);
  });
}

const JUNK = ["", "x", "{}", "nan", "inf", "-1", "9".repeat(400), "\0\u0001"] as const;

for (const junk of JUNK) {
  test(`claims in redis: a weight of ${JSON.stringify(junk.slice(0, 8))} refuses nobody and is mended by the next claim`, async () => {
    await using harness = await openRedisHarness(() => ({}))();
    const { commands, keys } = harness;
    const claims = createRedisClaims({ commands, keys });
    const claim = (key: string) =>
      claims.claim({ tenant: TENANT, key, fingerprint: "aa", eventIds: ["evt_a"], acceptedAtMs: START_MS });
    assert.equal((await claim("key:a")).kind, "claimed");
    for (const name of ["claims-weight", `claims-weight:${TENANT}`]) {
      const key = keys.key(0, name);
      const fields = await commands.run(byHand("return redis.call('HKEYS', KEYS[1])"), [key], []);
      assert.ok(Array.isArray(fields) && fields.length > 0, name);
      for (const field of fields as readonly string[]) await commands.run(SET_FIELD, [key], [field, junk]);
    }
    assert.equal((await claim("key:b")).kind, "claimed");
    await claims.complete(TENANT, "key:b", { status: 202, body: "{}" });
    assert.equal((await claim("key:c")).kind, "claimed");
  });
}

for (const junk of ["", "x", "nan", "9".repeat(400)]) {
  test(`numbers and records of somebody else (${junk.slice(0, 8)}) are unavailable, and no bug of ours`, () => {
    assert.throws(() => numberOf(junk === "" ? "x" : junk), withCode("store-unavailable"));
    assert.throws(() => jsonOf(`${junk}{`), withCode("store-unavailable"));
  });
}

/** To the event `evt_b` of the ledger, or to its delivery or attempt. */
const LEDGER_HARMS: Readonly<Record<string, Harm>> = {
  "an event whose numbers are none": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:event:${TENANT}:evt_b`], ["s", "x y"]),
  "an event of a time that no clock shows": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:event:${TENANT}:evt_b`], ["s", "9".repeat(400)]),
  "an event without numbers": ({ commands }, root) =>
    commands.run(DROP_FIELD, [`${root}:event:${TENANT}:evt_b`], ["s"]),
  "an event whose end is no time": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:event:${TENANT}:evt_b`], ["x", "soon"]),
  "a delivery that is no line of ours": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:deliveries:${TENANT}:evt_b`], [`${ENDPOINT_ID}|0`, "nonsense"]),
  "a delivery with facts that are no JSON": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:deliveries:${TENANT}:evt_b`], [`${ENDPOINT_ID}|0`, "retrying 1 1 o {"]),
  "an attempt that is no JSON": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:attempts:${TENANT}:evt_b`], [`${ENDPOINT_ID}|0|1`, "{"]),
  "an attempt of another kind": ({ commands }, root) =>
    commands.run(SET_FIELD, [`${root}:attempts:${TENANT}:evt_b`], [`${ENDPOINT_ID}|0|1`, "{}"]),
  "a place that names nothing": async ({ commands }, root) => {
    for (const list of ["events", `events:${TENANT}`, "due"]) {
      await commands.run(ADD_MEMBER, [`${root}:${list}`], [START_MS + 1, "no bar, no event"]);
    }
    for (const what of ["deliveries", "attempts"]) {
      await commands.run(ADD_MEMBER, [`${root}:to:${TENANT}:${ENDPOINT_ID}:${what}`], [START_MS + 1, "nobody"]);
    }
  },
};

for (const [name, harm] of Object.entries(LEDGER_HARMS)) {
  test(`redis ledger: ${name} costs itself alone`, async () => {
    await using harness = await openLedgerHarness()();
    const { ledger, keys } = harness;
    const envelopes = ["evt_a", "evt_b", "evt_c"].map((id, at) => sampleEnvelope(id, { acceptedAtMs: START_MS + at }));
    await ledger.remember(envelopes);
    const failed = { state: "retrying", attempt: 1, result: FAILED } as const;
    ledger.record(envelopes.map((envelope) => delivery(sampleRecord(envelope, failed))));
    await ledger.flush();
    await harm(harness, keys.key(0, "ledger"));
    const rest = (ids: readonly string[]) => ids.filter((id) => id !== "evt_b");
    const filter = { tenant: TENANT, endpointId: ENDPOINT_ID };
    for (const limit of [1, 100]) {
      const pages = [
        (await ledger.events({ tenant: TENANT }, limit, null)).rows.map(({ envelope }) => envelope.id),
        (await ledger.deliveries(filter, limit, null)).rows.map(({ eventId }) => eventId),
        (await ledger.attempts(filter, limit, null)).rows.map(({ eventId }) => eventId),
      ];
      for (const ids of pages) assert.deepEqual(rest(ids), ["evt_c", "evt_a"].slice(0, limit));
    }
    await ledger.deliveries({ tenant: TENANT, eventId: "evt_b" }, 10, null);
    const asked = { tenant: TENANT, eventId: "evt_b", endpointId: ENDPOINT_ID, generation: 0, acceptedAtMs: START_MS };
    await ledger.isCompleted(asked, 1);
    // Further news of the harmed event and of another come in one batch.
    ledger.record(envelopes.map((envelope) => delivery(sampleRecord(envelope, { state: "delivered", attempt: 2 }))));
    await ledger.remember([sampleEnvelope("evt_d", { acceptedAtMs: START_MS + 5 })]);
    await ledger.flush();
    const states = (await ledger.deliveries(filter, 100, null)).rows.map(({ eventId, state }) => [eventId, state]);
    assert.deepEqual(
      states.filter(([id]) => id !== "evt_b"),
      [
        ["evt_c", "delivered"],
        ["evt_a", "delivered"],
      ],
    );
    assert.notEqual(await ledger.event(TENANT, "evt_d"), null);
  });
}

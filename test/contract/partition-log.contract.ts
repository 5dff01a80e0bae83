/** What every implementation of the port `partition-log` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { withCode } from "./harness.ts";
import type { OpenLogHarness } from "../drivers/memory/partition-log-harness.ts";
import { SPEC, TOPIC, append, numbered, openWithTopic, read, record } from "../drivers/memory/partition-log-harness.ts";
import { WRITTEN_AT_SLACK, WRITTEN_AT_SLACK_MS } from "@posthaste/shared/ports/partition-log.ts";
import { START_MS } from "../support/samples.ts";

export function partitionLogContract(name: string, open: OpenLogHarness): void {
  test(`${name}: a record comes back byte for byte, with key, headers and the writer's time`, async () => {
    await using harness = await openWithTopic(open);
    const value = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const headers = { id: "evt_1", note: "grün €" };
    await append(harness, [{ ...record("", 2), key: "clé", value, headers, timestampMs: START_MS + 7 }]);
    const reader = await read(harness);
    await harness.until("the record", () => reader.given.length === 1);
    const [found] = reader.given;
    assert.deepEqual(found, {
      topic: TOPIC,
      partition: 2,
      offset: found?.offset,
      timestampMs: START_MS + 7,
      key: "clé",
      value,
      headers,
    });
  });

  test(`${name}: no key, no value and no headers come back as such`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [{ ...record("", 0), key: null, value: null, headers: {} }]);
    const reader = await read(harness);
    await harness.until("the record", () => reader.given.length === 1);
    assert.equal(reader.given[0]?.key, null);
    assert.equal(reader.given[0]?.value, null);
    assert.deepEqual(reader.given[0]?.headers, {});
  });

  test(`${name}: records of a partition are read in the order of their appends, with rising offsets`, async () => {
    await using harness = await openWithTopic(open);
    await using producer = harness.log.openProducer("p");
    const texts = numbered(50);
    await harness.finish(Promise.all(texts.map((text) => producer.append([record(text, 1)]))));
    const reader = await read(harness);
    await harness.until("all records", () => reader.given.length === texts.length);
    assert.deepEqual(reader.texts(), texts);
    const offsets = reader.given.map(({ offset }) => offset);
    assert.deepEqual(
      offsets,
      offsets.toSorted((left, right) => left - right),
    );
    assert.equal(new Set(offsets).size, texts.length);
  });

  test(`${name}: records of one key share a partition, many keys use several`, async () => {
    await using harness = await openWithTopic(open);
    const keys = Array.from({ length: 40 }, (_, index) => `key_${index % 20}`);
    await append(
      harness,
      keys.map((key, index) => ({ ...record(`v${index}`, null), key })),
    );
    const reader = await read(harness);
    await harness.until("all records", () => reader.texts().length === keys.length);
    const places = new Set(reader.given.map(({ key, partition }) => `${key} ${partition}`));
    assert.equal(places.size, 20);
    assert.ok(new Set(reader.given.map(({ partition }) => partition)).size > 1);
  });

  test(`${name}: a new group begins at the start of the log`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [record("a", 0)]);
    const reader = await read(harness);
    await harness.until("the record", () => reader.given.length === 1);
    assert.deepEqual(
      reader.handles.map(({ from }) => from),
      [0, 0, 0, 0],
    );
    assert.deepEqual(
      reader.handles.map(({ partition }) => partition).toSorted((left, right) => left - right),
      [0, 1, 2, 3],
    );
  });

  test(`${name}: after a restart reading goes on at the committed offset, not before and not behind`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [record("a", 0), record("b", 0), record("c", 0)]);
    const before = await read(harness);
    await harness.until("all records", () => before.given.length === 3);
    const next = (before.given[1]?.offset ?? 0) + 1;
    await harness.finish(before.partition(0).commit(next));
    await harness.reopen();
    const after = await read(harness);
    await harness.until("what was not committed", () => after.given.length >= 1);
    assert.equal(after.partition(0).from, next);
    assert.deepEqual(after.texts(), ["c"]);
  });

  test(`${name}: what was read and not committed is read again after a restart`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [record("a", 0), record("b", 3)]);
    const before = await read(harness);
    await harness.until("all records", () => before.given.length === 2);
    await harness.reopen();
    const after = await read(harness);
    await harness.until("all records again", () => after.given.length === 2);
    assert.deepEqual(after.texts().toSorted(), ["a", "b"]);
  });

  test(`${name}: two readers of a group share the partitions, each has one owner`, async () => {
    await using harness = await openWithTopic(open);
    const first = await read(harness);
    const second = await read(harness);
    await harness.until("a fair share", () => first.held.size === 2 && second.held.size === 2);
    assert.deepEqual([...first.held.keys(), ...second.held.keys()].toSorted(), [
      "orders/0",
      "orders/1",
      "orders/2",
      "orders/3",
    ]);
  });

  test(`${name}: a rebalance loses no record, and what stays with a reader keeps its handle`, async () => {
    await using harness = await openWithTopic(open);
    await using producer = harness.log.openProducer("p");
    const texts = numbered(200);
    const first = await read(harness);
    const writing = texts.map((text, index) => () => producer.append([record(text, index % 4)]));
    await harness.finish(Promise.all(writing.slice(0, 100).map((write) => write())));
    const joining = read(harness);
    await harness.finish(Promise.all(writing.slice(100).map((write) => write())));
    const second = await joining;
    await harness.until("every record", () => new Set([...first.texts(), ...second.texts()]).size === 200);
    await harness.until("a fair share", () => first.held.size === 2 && second.held.size === 2);
    for (const { held, handles } of [first, second]) {
      // One handle from `assigned` until `lost`: no second `assigned` for what stayed.
      const stillHeld = handles.filter((handle) => held.get(`${TOPIC}/${handle.partition}`) === handle);
      assert.equal(stillHeld.length, held.size);
    }
    assert.equal(first.handles.length - first.lostCount(), first.held.size);
  });

  test(`${name}: when a reader leaves, the other takes over what it had not committed`, async () => {
    await using harness = await openWithTopic(open);
    const first = await read(harness);
    const second = await read(harness);
    await harness.until("a fair share", () => first.held.size === 2 && second.held.size === 2);
    const moving = Array.from(second.held.values(), ({ partition }) => partition);
    const texts = moving.flatMap((partition) => [`${partition}-done`, `${partition}-open`]);
    await append(
      harness,
      texts.map((text) => record(text, Number(text[0]))),
    );
    await harness.until("all records", () => second.texts().length === texts.length);
    await harness.finish(Promise.all(moving.map((partition) => second.partition(partition).commit(1))));
    await harness.finish(second.close());
    assert.equal(second.held.size, 0);
    await harness.until("the take-over", () => first.held.size === 4 && first.texts().length === moving.length);
    assert.deepEqual(first.texts().toSorted(), texts.filter((text) => text.endsWith("open")).toSorted());
  });

  test(`${name}: a lost partition never commits`, async () => {
    await using harness = await openWithTopic(open);
    await append(
      harness,
      [0, 1, 2, 3].flatMap((partition) => [record("a", partition), record("b", partition)]),
    );
    const first = await read(harness);
    await harness.until("all records", () => first.given.length === 8);
    const handles = Array.from(first.held.values());
    const second = await read(harness);
    await harness.until("a fair share", () => first.held.size === 2 && second.held.size === 2);
    const lost = handles.filter(({ partition }) => second.held.has(`${TOPIC}/${partition}`));
    assert.equal(lost.length, 2);
    await harness.finish(Promise.all(lost.map(({ partition }) => second.partition(partition).commit(2))));
    await harness.finish(Promise.all(lost.map((handle) => handle.commit(1))));
    const depth = await harness.finish(harness.log.depth("readers", TOPIC));
    for (const { partition } of lost) assert.equal(depth[partition]?.committed, 2);
  });

  test(`${name}: after a reader was closed, its partitions are lost and commit nothing`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [record("a", 0)]);
    const reader = await read(harness);
    await harness.until("the record", () => reader.given.length === 1);
    const handle = reader.partition(0);
    await harness.finish(reader.close());
    assert.equal(reader.lostCount(), 4);
    await harness.finish(handle.commit(1));
    assert.equal((await harness.finish(harness.log.depth("readers", TOPIC)))[0]?.committed, 0);
  });

  test(`${name}: a paused partition gives nothing that is appended later, until it is resumed`, async () => {
    await using harness = await openWithTopic(open);
    const reader = await read(harness);
    reader.partition(0).pause();
    for (const round of ["a", "b", "c"]) {
      await append(harness, [record(`${round}0`, 0), record(`${round}1`, 1)]);
      await harness.until(`record ${round}1`, () => reader.texts().includes(`${round}1`));
    }
    assert.deepEqual(reader.texts(), ["a1", "b1", "c1"]);
    reader.partition(0).resume();
    await harness.until("what had waited", () => reader.texts().length === 6);
    assert.deepEqual(reader.texts().slice(3), ["a0", "b0", "c0"]);
  });

  test(`${name}: a pause outlives the rebalance where the partition stays`, async () => {
    await using harness = await openWithTopic(open);
    const first = await read(harness);
    for (const handle of first.held.values()) handle.pause();
    const second = await read(harness);
    await harness.until("a fair share", () => first.held.size === 2 && second.held.size === 2);
    await harness.finish(second.close());
    await harness.until("the return", () => first.held.size === 4);
    const [stayed, fence] = [first.handles[0], first.handles.at(-1)];
    assert.ok(stayed !== undefined && fence !== undefined);
    const isPaused = first.partition(stayed.partition) === stayed;
    fence.resume();
    await append(harness, [record("stayed", stayed.partition)]);
    await append(harness, [record("fence", fence.partition)]);
    await harness.until("the fence", () => first.texts().includes("fence"));
    if (isPaused && stayed !== fence) assert.ok(!first.texts().includes("stayed"));
    first.partition(stayed.partition).resume();
    await harness.until("the rest", () => first.texts().includes("stayed"));
  });

  test(`${name}: depth() gives the start, the group's place and the end of each partition`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [record("a", 0), record("b", 0), record("c", 1)]);
    const reader = await read(harness);
    await harness.until("all records", () => reader.given.length === 3);
    await harness.finish(reader.partition(0).commit(1));
    assert.deepEqual(await harness.finish(harness.log.depth("readers", TOPIC)), [
      { topic: TOPIC, partition: 0, start: 0, committed: 1, end: 2 },
      { topic: TOPIC, partition: 1, start: 0, committed: 0, end: 1 },
      { topic: TOPIC, partition: 2, start: 0, committed: 0, end: 0 },
      { topic: TOPIC, partition: 3, start: 0, committed: 0, end: 0 },
    ]);
  });

  test(`${name}: writtenAt() tells when records were written, within the slack, however long ago, and asked again`, async () => {
    await using harness = await openWithTopic(open);
    const nowMs = harness.now();
    const agesS = [700_000, 86_400, 4000, 3600, 60, 59, 7, 0];
    const written = agesS.map((ageS, index) => ({ ...record("x", index % 2), timestampMs: nowMs - 1000 * ageS }));
    await append(harness, written);
    const positions = agesS.map((_, index) => ({ topic: TOPIC, partition: index % 2, offset: Math.floor(index / 2) }));
    for (const asked of [positions, positions.toReversed(), positions]) {
      const found = await harness.finish(harness.log.writtenAt(asked));
      for (const [index, position] of asked.entries()) {
        const atMs = written[2 * position.offset + position.partition]?.timestampMs ?? 0;
        const lateMs = (found[index] ?? 0) - atMs;
        const slackMs = Math.max(WRITTEN_AT_SLACK_MS, (nowMs - atMs) * WRITTEN_AT_SLACK);
        assert.ok(lateMs >= 0 && lateMs <= slackMs, `${JSON.stringify(position)} is ${lateMs} ms late`);
      }
    }
    const [unwritten = 0] = await harness.finish(harness.log.writtenAt([{ topic: TOPIC, partition: 3, offset: 0 }]));
    assert.ok(unwritten >= nowMs, "what nobody wrote has no age");
  });

  test(`${name}: groups read the same records and do not move each other`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [record("a", 0)]);
    const one = await read(harness);
    const other = await read(harness, "others");
    await harness.until("the record twice", () => one.given.length === 1 && other.given.length === 1);
    await harness.finish(one.partition(0).commit(1));
    assert.equal((await harness.finish(harness.log.depth("readers", TOPIC)))[0]?.committed, 1);
    assert.equal((await harness.finish(harness.log.depth("others", TOPIC)))[0]?.committed, 0);
  });

  test(`${name}: of several commits at once the last one counts`, async () => {
    await using harness = await openWithTopic(open);
    await append(
      harness,
      numbered(20).map((text) => record(text, 0)),
    );
    const reader = await read(harness);
    await harness.until("all records", () => reader.given.length === 20);
    const commits = Array.from({ length: 20 }, (_, index) => reader.partition(0).commit(index + 1));
    await harness.finish(Promise.all(commits));
    assert.equal((await harness.finish(harness.log.depth("readers", TOPIC)))[0]?.committed, 20);
  });

  test(`${name}: records of 256 KiB go through, also ten at once to one partition`, async () => {
    await using harness = await openWithTopic(open);
    const value = Uint8Array.from({ length: 256 * 1024 }, (_, index) => (index * 31) % 251);
    await append(
      harness,
      Array.from({ length: 10 }, () => ({ ...record("", 0), value })),
    );
    const reader = await read(harness);
    await harness.until("ten records", () => reader.given.length === 10);
    assert.ok(reader.given.every((found) => found.value !== null && Buffer.compare(found.value, value) === 0));
  });

  test(`${name}: 3,000 records in one append arrive, each once`, async () => {
    await using harness = await openWithTopic(open);
    const texts = numbered(3000);
    const reader = await read(harness);
    await append(
      harness,
      texts.map((text, index) => record(text, index % 4)),
    );
    await harness.until("all records", () => reader.given.length >= texts.length);
    assert.equal(reader.given.length, texts.length);
    assert.deepEqual(reader.texts().toSorted(), texts.toSorted());
  });

  test(`${name}: an append to a topic that does not exist rejects with store-unavailable`, async () => {
    await using harness = await openWithTopic(open);
    await using producer = harness.log.openProducer("p");
    const appending = producer.append([{ ...record("a", null), topic: "nowhere" }]);
    await assert.rejects(harness.finish(appending), withCode("store-unavailable"));
    await harness.finish(producer.append([record("b", 0)]));
  });

  test(`${name}: an append beyond what may wait rejects with overloaded, and the next one goes through`, async () => {
    await using harness = await openWithTopic(open);
    await using producer = harness.log.openProducer("p");
    const tooMany = Array.from({ length: 20_001 }, () => record("x", 0));
    await assert.rejects(harness.finish(producer.append(tooMany)), withCode("overloaded"));
    await harness.finish(producer.append([record("a", 0)]));
    assert.equal((await harness.finish(harness.log.depth("readers", TOPIC)))[0]?.end, 1);
  });

  test(`${name}: a closed producer takes nothing more`, async () => {
    await using harness = await openWithTopic(open);
    const producer = harness.log.openProducer("p");
    await harness.finish(producer.append([record("a", 0)]));
    await harness.finish(Promise.resolve(producer[Symbol.asyncDispose]()));
    await assert.rejects(producer.append([record("b", 0)]), withCode("store-unavailable"));
  });

  test(`${name}: ensureTopics() leaves what fits alone, and names what has too few partitions`, async () => {
    await using harness = await openWithTopic(open);
    await append(harness, [record("a", 0)]);
    await harness.finish(harness.log.ensureTopics([{ ...SPEC, partitions: 2 }]));
    assert.equal((await harness.finish(harness.log.depth("readers", TOPIC)))[0]?.end, 1);
    const more = harness.log.ensureTopics([{ ...SPEC, partitions: 6 }]);
    await assert.rejects(harness.finish(more), /orders has 4 partitions, 6 are wanted/);
  });

  test(`${name}: health() is null while all is well`, async () => {
    await using harness = await openWithTopic(open);
    const reader = await read(harness);
    assert.equal(await harness.finish(harness.log.health()), null);
    assert.equal(reader.health(), null);
  });
}

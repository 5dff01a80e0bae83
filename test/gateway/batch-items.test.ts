/** A large batch leaves the event loop to others while it is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { batchTexts, readItems } from "@posthaste/gateway/publish/batch-items.ts";
import type { CheckType } from "@posthaste/gateway/publish/draft.ts";
import type { InTurn } from "@posthaste/gateway/request/handle.ts";
import { createWorkTurns, TURN_MS } from "@posthaste/gateway/request/work-turns.ts";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { CatalogueType } from "@posthaste/shared/domain/event-types.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

/** Reads in turns of an event loop whose time passes by what the check of each item takes. */
async function readCounting(texts: readonly string[], itemMs = 0) {
  const caller = { tenant: "acme" } as ApiKey;
  const soon: (() => void)[] = [];
  let [nowMs, turns, mostMs] = [0, 0, 0];
  const work = createWorkTurns({
    monotonic: () => nowMs,
    soon: (callback) => void soon.push(callback),
    timer(_ms, callback) {
      soon.push(callback);
      return () => undefined;
    },
  });
  const inTurn: InTurn = (part) =>
    work.run("acme", (hasTime) => {
      const beganMs = nowMs;
      turns++;
      const result = part(hasTime);
      mostMs = Math.max(mostMs, nowMs - beganMs);
      return result;
    });
  const check: CheckType = () => {
    nowMs += itemMs;
    return [];
  };
  const progress = { isRead: false };
  const reading = readItems(texts, { caller, queryTenant: null, nowMs: START_MS, check }, inTurn).finally(() => {
    progress.isRead = true;
  });
  while (!progress.isRead) {
    await Promise.resolve();
    for (const callback of soon.splice(0)) callback();
  }
  const read = (await reading).map((item) => (item.kind === "readable" ? item.draft.dataText : item.error));
  return { turns, mostMs, read };
}

const thousand = Array.from({ length: 1000 }, (_, index) => `{"type":"order.paid","data":${index}}`);
const inOrder = thousand.map((_, index) => String(index));

test("a batch of 1,000 is read a few milliseconds in one turn, and all are there in order", async () => {
  const { turns, mostMs, read } = await readCounting(thousand, TURN_MS.alone / 20);
  assert.deepEqual([turns, mostMs], [50, TURN_MS.alone]);
  assert.deepEqual(read, inOrder);
});

test("of items that cost much to hold against their schema each has a turn of its own, however small", async () => {
  const { turns, mostMs, read } = await readCounting(thousand, 100);
  assert.deepEqual([turns, mostMs], [1000, 100]);
  assert.deepEqual(read, inOrder);
});

const members = Array.from({ length: 20 }, (_, index) => `"k${index}":1`).join();
for (const [name, text] of [
  ["20 members beside its events", `{"events":[{}],${members},`],
  ["1,001 items", `{"events":[${Array(1001).fill("{}").join()},`],
  ["1,001 items beside its events", `{"events":[{}],"more":[${Array(1001).fill("1").join()},`],
] as const) {
  test(`a batch with ${name} is refused without a look at what follows`, () => {
    // What follows is no JSON, which would be another refusal.
    const refusal = refusalOf(`${text}]]]]`);
    assert.equal(refusal.code, "validation-failed");
    assert.match(refusal.message, /at most 1000 events/);
  });
}

test("a batch of 1,000 items is not too many", () => {
  assert.equal(batchTexts(`{"events":[${Array(1000).fill('{"a":[1,2,[3,4]]}').join()}]}`).length, 1000);
});

test("what stands in the items is not parsed with the batch, but in turns: only the shell is", async () => {
  // An item that is no JSON is found when it is read, so nothing parsed it before.
  const texts = batchTexts(' {"events" : [ {"type":"a","data":1e400} ,{"type":oops} ] } ');
  assert.deepEqual(texts, ['{"type":"a","data":1e400}', '{"type":oops}']);
  await assert.rejects(
    readCounting(texts),
    (error) => error instanceof PosthasteError && error.code === "invalid-json",
  );
});

for (const [name, text, code] of [
  ["an item missing", '{"events":[{},]}', "invalid-json"],
  ["an item without a comma before it", '{"events":[{}{}]}', null],
  ["the wrong closing bracket", '{"events":[{}}]', "invalid-json"],
  ["a string left open", '{"events":[{"a":"]}', "invalid-json"],
  ["its end missing", '{"events":[{}', "invalid-json"],
  ["something behind it", '{"events":[{}]}x', "invalid-json"],
  ["events named by an escape", '{"\\u0065vents":[{}]}', null],
  ["events given twice", '{"events":[{}],"events":[]}', "invalid-json"],
  ["a list for a batch", "[{}]", "validation-failed"],
  ["much beside its events", `{"events":[{}],"x":{${'"a":1,'.repeat(10_000)}"a":1}}`, "validation-failed"],
] as const) {
  test(`a batch with ${name} is ${code ?? "looked at item by item"}`, () => {
    if (code === null) assert.equal(batchTexts(text).length, 1);
    else assert.equal(refusalOf(text).code, code);
  });
}

function refusalOf(text: string): PosthasteError {
  try {
    batchTexts(text);
  } catch (error) {
    assert.ok(error instanceof PosthasteError);
    return error;
  }
  return assert.fail("it was taken");
}

test("a batch is not read on once its request was answered for want of time", async () => {
  let checks = 0;
  await using harness = await openGatewayHarness({
    wrap(drivers) {
      const types = new Map<string, CatalogueType>();
      types.get = () => {
        checks++;
        void harness.clock.standStill(100);
        return undefined;
      };
      return { ...drivers, eventTypes: { ...drivers.eventTypes, known: () => ({ version: "1", types }) } };
    },
  });
  const publishing = harness.call("POST", "/v1/events/batch", {
    body: { events: Array.from({ length: 1000 }, () => ({ type: "a", data: 1 })) },
  });
  for (let turn = 0; turn < 1000; turn++) await harness.clock.advance(20);
  assert.equal((await publishing).status, 503);
  assert.ok(checks < 200, String(checks));
});

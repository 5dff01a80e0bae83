/** A large batch leaves the event loop to others while it is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { batchTexts, readItems } from "@posthaste/gateway/publish/batch-items.ts";
import type { InTurn } from "@posthaste/gateway/request/handle.ts";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { START_MS } from "../support/samples.ts";

async function readCounting(texts: readonly string[]) {
  const caller = { tenant: "acme" } as ApiKey;
  let turns = 0;
  const inTurn: InTurn = async (work) => {
    turns += 1;
    return await Promise.resolve(work());
  };
  const items = await readItems(texts, { caller, queryTenant: null, nowMs: START_MS, check: () => [] }, inTurn);
  const read = items.map((item) => (item.kind === "readable" ? item.draft.dataText : item.error));
  return { turns, read };
}

test("of a batch of 1,000 no more than 64 items are read in one turn, and all are there in order", async () => {
  const texts = Array.from({ length: 1000 }, (_, index) => `{"type":"order.paid","data":${index}}`);
  const { turns, read } = await readCounting(texts);
  assert.equal(turns, Math.ceil(1000 / 64));
  assert.deepEqual(
    read,
    texts.map((_, index) => String(index)),
  );
});

test("of large items each has a turn of its own", async () => {
  const data = JSON.stringify("x".repeat(40_000));
  const { turns, read } = await readCounting(Array.from({ length: 20 }, () => `{"type":"a","data":${data}}`));
  assert.equal(turns, 20);
  assert.ok(read.every((text) => text === data));
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

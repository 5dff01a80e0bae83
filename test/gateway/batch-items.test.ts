/** A large batch leaves the event loop to others while it is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readItems } from "@posthaste/gateway/publish/batch-items.ts";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { START_MS } from "../support/samples.ts";

test("of a batch of 1,000 no more than 64 items are read in one turn, and all are there in order", async () => {
  const texts = Array.from({ length: 1000 }, (_, index) => `{"type":"order.paid","data":${index}}`);
  const caller = { tenant: "acme" } as ApiKey;
  let turns = 1;
  const soon = (callback: () => void): void => {
    turns += 1;
    setImmediate(callback);
  };
  const items = await readItems(texts, { caller, queryTenant: null, nowMs: START_MS }, { soon });
  assert.ok(turns >= 1000 / 64, `${turns} turns`);
  assert.deepEqual(
    items.map((item) => (item.kind === "readable" ? item.draft.dataText : item.error)),
    texts.map((_, index) => String(index)),
  );
});

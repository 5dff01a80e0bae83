/** Found once at a time, and kept for a moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { brieflyKept } from "@posthaste/shared/lib/briefly-kept.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

function openKept() {
  const clock = createManualClock(0);
  const asked: PromiseWithResolvers<number>[] = [];
  const ask = brieflyKept(
    () => {
      const question = Promise.withResolvers<number>();
      asked.push(question);
      return question.promise;
    },
    { clock, keepMs: 1000 },
  );
  return { clock, asked, ask };
}

test("who asks while it is being found shares the answer, and so does who asks within the time after", async () => {
  const { clock, asked, ask } = openKept();
  const waiting = [ask(), ask()];
  await clock.advance(5000);
  waiting.push(ask());
  asked[0]?.resolve(1);
  assert.deepEqual(await Promise.all(waiting), [1, 1, 1]);
  await clock.advance(999);
  assert.equal(await ask(), 1);
  assert.equal(asked.length, 1);
  await clock.advance(1);
  const afresh = ask();
  asked[1]?.resolve(2);
  assert.equal(await afresh, 2);
});

test("a failure goes to all who share it, and is not kept", async () => {
  const { asked, ask } = openKept();
  const waiting = [ask(), ask()];
  asked[0]?.reject(new Error("away"));
  for (const each of await Promise.allSettled(waiting)) assert.equal(each.status, "rejected");
  const again = ask();
  asked[1]?.resolve(3);
  assert.equal(await again, 3);
});

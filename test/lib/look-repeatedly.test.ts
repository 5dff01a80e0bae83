/** Looks one after the other, each after the wait that the one before said; none after the end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lookRepeatedly } from "@posthaste/shared/lib/look-repeatedly.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { START_MS } from "../support/samples.ts";

test("the next look begins so long after the end of the one before", async () => {
  const clock = createManualClock(START_MS);
  const begun: number[] = [];
  const looking = lookRepeatedly(clock, 100, async () => {
    begun.push(clock.now() - START_MS);
    await clock.sleep(50, new AbortController().signal);
    return begun.length * 1000;
  });
  await clock.advance(5000);
  looking[Symbol.dispose]();
  assert.deepEqual(begun, [100, 1150, 3200]);
});

test("disposed between looks or during one, it looks no more", async () => {
  for (const endsAtMs of [99, 120]) {
    const clock = createManualClock(START_MS);
    let looks = 0;
    const looking = lookRepeatedly(clock, 100, async () => {
      looks += 1;
      await clock.sleep(50, new AbortController().signal);
      return 10;
    });
    await clock.advance(endsAtMs);
    looking[Symbol.dispose]();
    await clock.advance(5000);
    assert.equal(looks, endsAtMs === 99 ? 0 : 1);
  }
});

/** What a lane remembers of the events that it has done. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecentEvents } from "@posthaste/shared/drivers/partitioned/lanes/recent-events.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";

const HOUR_MS = 3_600_000;

test("an id that is used again after 24 h is a new event, however seldom anything came in between", async () => {
  const clock = createManualClock(START_MS);
  const recent = createRecentEvents(clock);
  const early = sampleEnvelope("evt_early");
  assert.ok(recent.enter(early));
  recent.done(early);
  await clock.advance(12 * HOUR_MS - 1);
  assert.ok(!recent.enter(early));
  await clock.advance(12 * HOUR_MS - 1);
  recent.enter(sampleEnvelope("evt_between"));
  await clock.advance(2);
  assert.ok(recent.enter(early));
});

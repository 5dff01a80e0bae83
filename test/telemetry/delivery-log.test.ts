/** One line for each delivery, which can be switched off and has a bound; what did not arrive is always told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createJsonLog } from "@posthaste/shared/drivers/json-log.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import type { Settled } from "@posthaste/shared/telemetry/delivery.ts";
import { createDeliveryTelemetry } from "@posthaste/shared/telemetry/delivery.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { START_MS } from "../support/samples.ts";

const SUBJECT = {
  tenant: "acme",
  eventId: "evt_1",
  endpointId: "ep_1",
  lane: "high",
  attempt: 1,
  traceparent: null,
} as const;
const delivered: Settled = { state: "delivered", reason: null, sinceAcceptMs: 12, nextAttemptAtMs: null };
const retrying: Settled = { ...delivered, state: "retrying", reason: "answered 500", nextAttemptAtMs: START_MS + 5000 };
const dead: Settled = { ...delivered, state: "dead", reason: "answered 410" };

async function logged(
  deps: { level: "info" | "debug"; logsDeliveries: boolean },
  settle: (settled: (settled: Settled) => void, advance: (ms: number) => Promise<void>) => Promise<void> | void,
) {
  const clock = createManualClock(START_MS);
  let text = "";
  const log = createJsonLog({ clock, level: deps.level, write: (lines) => void (text += lines) });
  const { logsDeliveries } = deps;
  await using metrics = openMetrics(clock, {});
  const telemetry = createDeliveryTelemetry({ meter: metrics.meter, log, clock, logsDeliveries });
  await settle(
    (settled) => telemetry.settled(SUBJECT, settled),
    (ms) => clock.advance(ms),
  );
  await clock.advance(1);
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Record<string, unknown>]));
}

test("a delivery that arrived, and the time of the next attempt of one that did not, are lines at info", async () => {
  const lines = await logged({ level: "info", logsDeliveries: true }, (settled) => {
    settled(delivered);
    settled(retrying);
  });
  const shared = { level: "info", event_id: "evt_1", endpoint_id: "ep_1", tenant: "acme", lane: "high", attempt: 1 };
  const time = new Date(START_MS).toISOString();
  assert.deepEqual(lines, [
    { time, event: "delivery.delivered", ...shared, reason: null, since_accept_ms: 12 },
    {
      time,
      event: "delivery.retrying",
      ...shared,
      reason: "answered 500",
      since_accept_ms: 12,
      next_attempt_at: new Date(START_MS + 5000).toISOString(),
    },
  ]);
});

test("switched off only what did not arrive is told at info, and all of it at debug", async () => {
  const all = (settled: (settled: Settled) => void): void => [delivered, retrying, dead].forEach(settled);
  const atInfo = await logged({ level: "info", logsDeliveries: false }, all);
  assert.deepEqual(
    atInfo.map(({ event, level }) => [event, level]),
    [["delivery.dead", "warn"]],
  );
  assert.equal((await logged({ level: "debug", logsDeliveries: false }, all)).length, 3);
});

test("a second has 1,000 such lines at most; the next says how many are missing, and nothing that is dead is", async () => {
  const lines = await logged({ level: "info", logsDeliveries: true }, async (settled, advance) => {
    for (let count = 0; count < 1500; count++) settled(delivered);
    settled(dead);
    await advance(1000);
    settled(delivered);
    settled(delivered);
  });
  assert.equal(lines.length, 1003);
  assert.equal(lines[1000]?.["event"], "delivery.dead");
  assert.deepEqual(
    lines.slice(1001).map(({ unlogged }) => unlogged),
    [500, undefined],
  );
});

/**
 * Two processors on real Redis and Kafka, and the clock of one is set back and forth by a minute and by an hour. Membership
 * of groups, leases and requests go by clocks that do not step, so nothing comes twice for it; and retries go by the time of
 * Kafka, so none is late by the step, whichever of the two planned it and whichever makes it.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SESSION_MS } from "@posthaste/shared/drivers/kafka/consumer.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { planOf, publishAll, untilDelivered } from "./load-under-kills.ts";
import { openFolder } from "./posthaste-child.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const STEPS_MS = [-MINUTE_MS, MINUTE_MS, -HOUR_MS, HOUR_MS];
/** Of each phase; every third is HIGH, every third MEDIUM, every third LOW. */
const EVENTS = process.env["POSTHASTE_FULL"] === "1" ? 300 : 150;
/** One event in so many is refused at its first attempt, by a status that speaks against no endpoint. */
const FAILING = 5;
const RETRY_S = 2;
/** What comes later than this is late by a step: the smallest is a minute. */
const LATE_MS = 30_000;
const preload = join(import.meta.dirname, "../support/clocks/stepped-date.ts");
const running = new AbortController().signal;

let published = 0;

/** Counts deliveries by `webhook-id`, and attempts in all. */
async function openRefusingCounter() {
  const timesById = new Map<string, number>();
  let arrivals = 0;
  const receiver = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    arrivals += 1;
    const isRefused = request.headers["posthaste-attempt"] === "1" && Number.parseInt(id.slice(-4), 36) % FAILING === 0;
    if (!isRefused) timesById.set(id, (timesById.get(id) ?? 0) + 1);
    response.writeHead(isRefused ? 404 : 200).end();
  });
  return { ...receiver, timesById, arrivals: () => arrivals };
}

type Counter = Awaited<ReturnType<typeof openRefusingCounter>>;

function publishSome(harness: DistributedHarness): Promise<ReadonlySet<string>> {
  const plans = Array.from({ length: EVENTS }, () => planOf(published++));
  const [gateway] = harness.gateways;
  assert.ok(gateway !== undefined);
  const target = { url: () => gateway.url, isUp: () => Promise.resolve(), key: harness.operatorKey };
  return publishAll(target, plans.values(), () => undefined);
}

/** Waits for all, retries among them; how many came more than once. */
async function untilAll(ids: ReadonlySet<string>, counter: Counter): Promise<number> {
  assert.deepEqual(await untilDelivered(ids, counter, LATE_MS), [], "late by a step");
  return [...ids].filter((id) => (counter.timesById.get(id) ?? 0) > 1).length;
}

/** Lines that say that the group had put the process out, or that it reads no more. */
function expulsionsIn(printed: string): readonly string[] {
  return printed.split("\n").filter((line) => /UNKNOWN_MEMBER_ID|not aware of this member|starts again/.test(line));
}

async function phase(harness: DistributedHarness, counter: Counter): Promise<number> {
  return untilAll(await publishSome(harness), counter);
}

test("a clock that is set on one of two processors makes no duplicate that lasts and no retry late, and neither stops reading", async () => {
  using folder = openFolder();
  await using counter = await openRefusingCounter();
  const file = join(folder.path, "step");
  const env = { BUN_OPTIONS: `--preload ${preload}`, STEPPED_DATE_FILE: file };
  await using harness = await openDistributedHarness({ gateways: 1, processors: 2, env });
  const created = await harness.ask(0, "/v1/endpoints", {
    url: counter.url,
    event_types: ["load.*"],
    retry: { delays_s: [0, RETRY_S, RETRY_S, RETRY_S] },
  });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  assert.equal(await phase(harness, counter), 0, "all is well before the first step");
  const [, stepped] = harness.processors;
  assert.ok(stepped !== undefined);
  let offsetMs = 0;
  for (const stepMs of STEPS_MS) {
    offsetMs += stepMs;
    const before = await publishSome(harness);
    writeFileSync(file, String(stepMs));
    process.kill(stepped.pid, "SIGUSR2");
    const isSet = (): boolean => stepped.printed().includes(`"offsetMs":${offsetMs}}`);
    while (!isSet()) await systemClock.sleep(10, running);
    const during = (await phase(harness, counter)) + (await untilAll(before, counter));
    // A member that does not beat is expelled after this; what it goes on to read is another's by then.
    await systemClock.sleep(1.5 * SESSION_MS, running);
    const after = (await phase(harness, counter)) + (await phase(harness, counter));
    console.log(
      `a step of ${stepMs / 1000} s: ${during} of ${2 * EVENTS} came twice during it, ${after} of ${2 * EVENTS} later`,
    );
    assert.equal(after, 0, `after a step of ${stepMs} ms`);
    for (const processor of harness.processors) assert.equal((await fetch(`${processor.url}/readyz`)).status, 200);
    assert.deepEqual(expulsionsIn(stepped.printed()), [], `after a step of ${stepMs} ms`);
  }
});

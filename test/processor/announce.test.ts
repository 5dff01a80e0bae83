/** What two processes come to tell of one thing is told by the first: the second would say it in other words under the same id. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnnounceDeps } from "@posthaste/processor/announce.ts";
import { createAnnounce } from "@posthaste/processor/announce.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { deadEvent } from "@posthaste/shared/domain/own-event.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { seededEntropy, testHasher } from "../support/ambient.ts";
import { START_MS, TENANT, endpointOf, envelopeOf } from "../support/samples.ts";

const FAN_OUT = { matched: ["ops"], matchedCount: 1, filtered: [], filteredCount: 0 };

function deadAt(atMs: number, id = "dlv_1") {
  const of = { tenant: TENANT, eventId: "evt_1", endpointId: "ep1", envelope: envelopeOf("evt_1") };
  return deadEvent({ ...of, id, reason: "answered 500; attempt 1 of 1 was the last", attempts: 1, atMs });
}

/** What the ledger knows of the event that was told first. */
interface Known {
  readonly fanOut?: boolean;
  readonly deliveries?: number;
  readonly fails?: boolean;
  readonly hangs?: boolean;
}

function openAnnounce(known: Known) {
  const appended: Envelope[] = [];
  const announced: string[] = [];
  const deps = {
    clock: createManualClock(START_MS),
    entropy: seededEntropy(1),
    hasher: testHasher,
    directory: { peek: () => ({ version: 1, endpoints: [endpointOf("ops", { eventTypes: ["posthaste.*"] })] }) },
    lanes: { append: async (envelopes: readonly Envelope[]) => void appended.push(...envelopes) },
    ledger: {
      async event(_tenant: string, id: string) {
        if (known.fails === true) throw new Error("away");
        if (known.hangs === true) return await new Promise<never>(() => undefined);
        const envelope = appended.find((each) => each.id === id);
        return envelope === undefined ? null : { envelope, fanOut: known.fanOut === true ? FAN_OUT : null };
      },
      deliveries: async () => ({ rows: Array.from({ length: known.deliveries ?? 0 }), next: null }),
    },
    telemetry: { endpoint: { announced: (type: string) => announced.push(type), announcementLost: assert.fail } },
    signal: new AbortController().signal,
    onFailure: assert.fail,
  };
  return { announce: createAnnounce(deps as unknown as AnnounceDeps), appended, announced, clock: deps.clock };
}

for (const [what, known, count] of [
  ["that was fanned out is not told again", { fanOut: true }, 1],
  ["of which a delivery is recorded is not told again", { deliveries: 1 }, 1],
  ["that is known and came no further may not be in its lane, and is told again", {}, 2],
  ["is told again where the ledger cannot be asked", { fails: true }, 2],
] as const) {
  test(`what ${what}`, async () => {
    const { announce, appended, announced } = openAnnounce(known);
    assert.equal(await announce([deadAt(START_MS)]), true);
    assert.equal(await announce([deadAt(START_MS + 7000)]), true);
    assert.deepEqual([appended.length, announced.length], [count, count]);
    assert.equal(new Set(appended.map(({ id }) => id)).size, 1);
  });
}

test("a ledger that does not answer is waited for a second", async () => {
  const { announce, appended, clock } = openAnnounce({ hangs: true });
  const announcing = announce([deadAt(START_MS)]);
  await clock.advance(999);
  assert.equal(appended.length, 0);
  await clock.advance(1);
  assert.deepEqual([await announcing, appended.length], [true, 1]);
});

test("of several the others are told", async () => {
  const { announce, appended } = openAnnounce({ fanOut: true });
  await announce([deadAt(START_MS)]);
  await announce([deadAt(START_MS + 7000), deadAt(START_MS + 7000, "dlv_2")]);
  assert.deepEqual(
    appended.map(({ acceptedAtMs }) => acceptedAtMs),
    [START_MS, START_MS + 7000],
  );
});

/** HIGH from two sources: what one of them brings late is admitted by what is held then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createWindow } from "@posthaste/processor/intake/window.ts";
import { createMergedLane } from "@posthaste/shared/drivers/distributed/merged-lane.ts";
import { FifoRow, FlowRows } from "@posthaste/shared/lib/flow-rows.ts";
import type { Admits } from "@posthaste/shared/lib/flow-rows.ts";
import { flowOf } from "@posthaste/shared/domain/flow.ts";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";

const never = new AbortController().signal;

function itemOf(id: string): LaneItem {
  return { lane: "high", envelope: sampleEnvelope(id), isRepeat: false, handle: {} };
}

/** Gives what it is brought, and of that what is admitted, as a partition does. */
function createSource() {
  const rows = new FlowRows<LaneItem, FifoRow<LaneItem>>();
  let look = (): void => undefined;
  return {
    leaveOut: null,
    bring(items: readonly LaneItem[]) {
      const row = new FifoRow<LaneItem>();
      for (const item of items) row.push(item);
      const [first] = items;
      assert.ok(first !== undefined);
      rows.add(first.envelope.tenant, flowOf(first.envelope.type), row);
      look();
    },
    take: (max: number, _signal: AbortSignal, admits: Admits): Promise<readonly LaneItem[]> =>
      new Promise((resolve) => {
        look = () => {
          const taken: LaneItem[] = [];
          rows.moveTo(taken, max, admits);
          if (taken.length > 0) resolve(taken);
        };
        look();
      }),
  };
}

test("a source that waits beyond the take that asked it is not held to what that take let pass", async () => {
  const window = createWindow({ itemsMax: 12, bytesMax: 2 ** 20, perFree: 8 }, () => undefined);
  const [busy, quiet] = [createSource(), createSource()];
  const lane = createMergedLane(createManualClock(START_MS), [busy, quiet], () => assert.fail("nothing is given back"));
  const first = lane.take(12, never, window.admission());
  busy.bring(Array.from({ length: 12 }, (_, index) => itemOf(`evt_${index}`)));
  // As many as one flow may have; the quiet source is asked still.
  const taken = await first;
  assert.ok(taken.length >= 4, String(taken.length));
  const second = lane.take(12, never, window.admission());
  quiet.bring([itemOf("evt_late")]);
  const ids = (await second).map(({ envelope }) => envelope.id);
  assert.ok(ids.length > 0);
  // Nothing is held any more, so the late one has to come whatever passed before.
  const seen = new Set(ids);
  while (!seen.has("evt_late")) {
    for (const { envelope } of await lane.take(12, never, window.admission())) seen.add(envelope.id);
  }
});

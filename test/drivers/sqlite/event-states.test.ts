/** Events by their state: what SQL leaves out before an event is judged was of another state. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DELIVERY_STATES, UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { EVENT_STATES } from "@posthaste/shared/domain/event-state.ts";
import type { EventFilter, ListedEvent } from "@posthaste/shared/ports/ledger.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { START_MS, TENANT } from "../../support/samples.ts";

const FAN_OUTS = [
  null,
  { matched: [], count: 0, isCancelled: 0 },
  { matched: [], count: 0, isCancelled: 1 },
  { matched: ["ep_a"], count: 1, isCancelled: 0 },
  { matched: ["ep_a", "ep_b"], count: 2, isCancelled: 0 },
  { matched: ["ep_a"], count: 2, isCancelled: 0 },
];
const NONE_OR = [null, ...DELIVERY_STATES];
const OTHER = [null, "delivered", "dead", "filtered", "pending"];

interface Delivery {
  readonly endpointId: string;
  readonly generation: number;
  readonly state: string | null;
}

/** Every fan-out with every state of two endpoints, of a replay to one of them and of the endpoint that is not known. */
function* events() {
  for (const fanOut of FAN_OUTS) {
    for (const first of NONE_OR) {
      for (const replay of OTHER) {
        for (const second of OTHER) {
          for (const unknown of [null, "dead"]) {
            const deliveries: readonly Delivery[] = [
              { endpointId: "ep_a", generation: 0, state: first },
              { endpointId: "ep_a", generation: 1, state: replay },
              { endpointId: "ep_b", generation: 0, state: second },
              { endpointId: UNKNOWN_ENDPOINT, generation: 0, state: unknown },
            ];
            yield { fanOut, deliveries };
          }
        }
      }
    }
  }
}

test("a list of events by state has all that are of that state, whatever their fan-out and deliveries", async () => {
  await using harness = await openMemoryHarness();
  const event = harness.raw.prepare(
    `INSERT INTO events VALUES (?, '${TENANT}', 'evt_' || ?1, 'order.paid', 'LOW', ${START_MS}, NULL, NULL, 1, 1, ${START_MS} * 2, x'00', NULL)`,
  );
  const fanOutOf = harness.raw.prepare(`INSERT INTO fan_outs VALUES (?, ${START_MS}, ?, ?, '[]', 0, ?)`);
  const deliveryOf = harness.raw.prepare(
    `INSERT INTO deliveries VALUES (NULL, ?, ?, ?, '${TENANT}', ${START_MS}, ?, 1, ${START_MS}, NULL, NULL, 1, 1, 0, 0, NULL)`,
  );
  let id = 0;
  for (const { fanOut, deliveries } of events()) {
    id += 1;
    event.run(id);
    if (fanOut !== null) fanOutOf.run(id, JSON.stringify(fanOut.matched), fanOut.count, fanOut.isCancelled);
    for (const { endpointId, generation, state } of deliveries) {
      if (state !== null) deliveryOf.run(id, endpointId, generation, state);
    }
  }
  const { ledger } = harness.drivers;
  const all = async (filter: Partial<EventFilter>): Promise<readonly ListedEvent[]> => {
    const found: ListedEvent[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof ledger.events>> = await ledger.events(
        { tenant: TENANT, ...filter },
        1000,
        cursor,
      );
      found.push(...page.rows);
      cursor = page.next;
    } while (cursor !== null);
    return found;
  };
  const namesOf = (rows: readonly ListedEvent[]): string[] => rows.map(({ envelope }) => envelope.id);
  const listed = await all({});
  assert.equal(listed.length, id);
  for (const state of EVENT_STATES) {
    const meant = listed.filter((each) => each.state === state);
    assert.ok(meant.length > 0, `events that are ${state}`);
    assert.deepEqual(namesOf(await all({ state })), namesOf(meant), state);
  }
});

/** What lay in a deleted topic is planned again whoever dies, and whatever fails, meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Recalls } from "@posthaste/shared/drivers/distributed/recalls.ts";
import { createRecalls } from "@posthaste/shared/drivers/distributed/recalls.ts";
import type { RecallOptions } from "@posthaste/shared/drivers/distributed/recall-lost.ts";
import { createRedisLeases } from "@posthaste/shared/drivers/redis/leases.ts";
import { createLostTopics } from "@posthaste/shared/drivers/redis/lost-topics.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { ListedEvent } from "@posthaste/shared/ports/ledger.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { sampleEnvelope } from "../../support/samples.ts";
import { openRedisHarness } from "../redis/harness.ts";
import { createSwitchedCommands } from "../redis/switch.ts";

const LOOK_MS = 30_000;
const EVENTS = ["e0", "e1", "e2"];

/** Three events of MEDIUM are pending. Any number of processes share the model of Redis and the retry queue. */
async function openStand() {
  let clock: Clock | null = null;
  const harness = await openRedisHarness(({ clock: given }) => ((clock = given), {}), { server: "model" })();
  assert.ok(clock !== null);
  const ofProcess: Clock = clock;
  const line = createSwitchedCommands(harness.commands);
  const planned: (string | undefined)[] = [];
  const told: string[] = [];
  const faults: unknown[] = [];
  const ledger = { isAway: false };
  const rows: readonly ListedEvent[] = EVENTS.map((id) => ({
    envelope: sampleEnvelope(id, { priority: "MEDIUM" }),
    fanOut: null,
    state: "pending",
  }));
  const recall: RecallOptions = {
    clock: ofProcess,
    ledger: {
      events: () => (ledger.isAway ? Promise.reject(new Error("no ledger")) : Promise.resolve({ rows, next: null })),
      deliveries: () => Promise.resolve({ rows: [], next: null }),
    },
    retryQueue: {
      schedule(items) {
        planned.push(...items.map(({ members }) => members[0]?.id));
        return Promise.resolve({ kind: "scheduled" });
      },
    },
  };
  const store = { commands: line.commands, keys: harness.keys };
  const lostTopics = createLostTopics(store);
  return {
    clock: harness.clock,
    open: (): Recalls =>
      createRecalls({
        lostTopics,
        leases: createRedisLeases(store),
        clock: ofProcess,
        entropy: systemEntropy,
        recall,
        onWarning: (warning) => told.push(warning),
        onFault: (error) => faults.push(error),
      }),
    noted: () => lostTopics.list(),
    planned,
    told,
    faults,
    ledger,
    setAway: line.setAway,
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

test("a process that dies after the note, before or after it made the topic, is followed by the next", async () => {
  await using stand = await openStand();
  const first = stand.open();
  await first.note(["medium"]);
  await first[Symbol.asyncDispose]();
  assert.deepEqual(stand.planned, []);
  await using next = stand.open();
  next.look();
  await stand.clock.advance(1000);
  assert.deepEqual(stand.planned, EVENTS);
  assert.match(stand.told.join(), /medium was deleted .* 3 copies\.$/);
  assert.equal((await stand.noted()).length, 0);
});

test("a process that runs finds within half a minute what another left", async () => {
  await using stand = await openStand();
  await using running = stand.open();
  running.look();
  await stand.clock.advance(1000);
  const dying = stand.open();
  await dying.note(["medium"]);
  await dying[Symbol.asyncDispose]();
  await stand.clock.advance(LOOK_MS + 1000);
  assert.deepEqual(stand.planned, EVENTS);
});

test("of two processes that made it at the same time one plans", async () => {
  await using stand = await openStand();
  await using one = stand.open();
  await using other = stand.open();
  await Promise.all([one.note(["medium"]), other.note(["medium"])]);
  one.look();
  other.look();
  await stand.clock.advance(2 * LOOK_MS);
  assert.deepEqual(stand.planned, EVENTS);
  assert.equal(stand.told.length, 1);
});

test("while Redis is away the process remembers the topic, and plans when it is back", async () => {
  await using stand = await openStand();
  await using recalls = stand.open();
  stand.setAway(true);
  await recalls.note(["medium"]);
  recalls.look();
  await stand.clock.advance(2 * LOOK_MS);
  assert.ok(stand.faults.length > 0);
  assert.deepEqual(stand.planned, []);
  stand.setAway(false);
  await stand.clock.advance(LOOK_MS);
  assert.deepEqual(stand.planned, EVENTS);
});

test("a plan that fails is made at the next look", async () => {
  await using stand = await openStand();
  await using recalls = stand.open();
  stand.ledger.isAway = true;
  await recalls.note(["medium"]);
  recalls.look();
  await stand.clock.advance(1000);
  assert.match(String(stand.faults[0]), /no ledger/);
  assert.equal((await stand.noted()).length, 1);
  stand.ledger.isAway = false;
  await stand.clock.advance(LOOK_MS);
  assert.deepEqual(stand.planned, EVENTS);
  assert.equal((await stand.noted()).length, 0);
});

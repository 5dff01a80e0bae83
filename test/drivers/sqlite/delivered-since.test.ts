/** What a success records and what it ends is one commit of the embedded set, and one look for each delivery. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { createDeadLetterEnds } from "@posthaste/processor/delivery/dead-letter-ends.ts";
import { createBoundedLists } from "@posthaste/shared/drivers/sqlite/bounded-list.ts";
import type { Database } from "@posthaste/shared/drivers/sqlite/database.ts";
import { createDatabase, prepareDatabase } from "@posthaste/shared/drivers/sqlite/database.ts";
import { createDeadLetters } from "@posthaste/shared/drivers/sqlite/dead-letters.ts";
import { createGroupCommit } from "@posthaste/shared/drivers/sqlite/group-commit.ts";
import { createLedger } from "@posthaste/shared/drivers/sqlite/ledger.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import {
  ENDPOINT_ID,
  START_MS,
  TENANT,
  sampleDeadLetter,
  sampleEnvelope,
  sampleRecord,
} from "../../support/samples.ts";

test("the ledger's entries and the end of their dead letters are one commit", async () => {
  const raw = new DatabaseSync(":memory:");
  prepareDatabase(raw);
  const clock = createManualClock(START_MS);
  const made = createDatabase(raw);
  const statements: string[] = [];
  const database: Database = {
    ...made,
    prepare(sql) {
      statements.push(sql);
      return made.prepare(sql);
    },
  };
  const writer = createGroupCommit({ database, clock });
  const listed = { database, writer, lists: createBoundedLists({ database, clock }), onFault: () => undefined };
  const [ledger, deadLetters] = [createLedger(listed), createDeadLetters(listed)];
  const ends = createDeadLetterEnds({
    clock,
    ledger,
    deadLetters,
    untilStored: async (_what, write) => ({ kind: "done", value: await write() }),
  });
  const envelopes = Array.from({ length: 100 }, (_, index) => sampleEnvelope(`evt_${index}`));
  await deadLetters.append(envelopes.map((envelope, index) => sampleDeadLetter(`dlv_${index}`, { envelope })));
  let commits = 0;
  writer.onCommit(() => commits++);
  ledger.record(
    envelopes.map((envelope) => ({ kind: "delivery", delivery: sampleRecord(envelope, { generation: START_MS }) })),
  );
  await ends.end(envelopes.map(({ id }) => ({ tenant: TENANT, eventId: id, endpointId: ENDPOINT_ID, atMs: START_MS })));
  assert.deepEqual([commits, await deadLetters.count({ tenant: null })], [1, 0]);
  const { letters, bytes } = raw.prepare("SELECT letters, bytes FROM dead_letter_totals WHERE tenant = ''").get() ?? {};
  assert.deepEqual([letters, bytes], [0, 0]);
  const sql = statements.find((each) => each.includes("DELETE FROM dead_letters WHERE event_id"));
  const [plan] = raw.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(null, null, null, null);
  assert.match(String(plan?.["detail"]), /dead_letters_by_event_endpoint \(event_id=\? AND endpoint_id=\?\)/);
  raw.close();
});

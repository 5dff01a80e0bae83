/** What an event writes to the disk, in pages of the WAL: each costs a checksum, two writes and its part of an fsync. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { DATABASE_FILE } from "@posthaste/shared/drivers/sqlite/database.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { createTemporaryFolder, MASTER_KEY } from "../../contract/embedded-harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { sampleEnvelope, sampleRecord, START_MS } from "../../support/samples.ts";

/** Of a page of 4 KiB: its own header goes before it (sqlite.org/fileformat2.html#walformat). */
const FRAME_BYTES = 24 + 4096;
/** Few enough that the WAL is not moved meanwhile, many enough that the commits that split a page decide nothing. */
const EVENTS = 60;

function medianOf(counts: readonly number[]): number {
  return counts.toSorted((left, right) => left - right)[counts.length >> 1] ?? 0;
}

test("an accept writes its row, its name, two places in lists and one in its lane; its settlement six pages", async () => {
  using folder = createTemporaryFolder();
  const data = join(folder.path, "data");
  await using drivers = openEmbedded({
    clock: createManualClock(START_MS),
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(MASTER_KEY),
    database: { folder: data },
  });
  const framesOf = async (work: () => Promise<void>): Promise<number> => {
    const size = (): number => statSync(join(data, `${DATABASE_FILE}-wal`)).size;
    const before = size();
    await work();
    return (size() - before) / FRAME_BYTES;
  };
  const [accepts, settlements]: [number[], number[]] = [[], []];
  for (let index = 0; index < EVENTS; index++) {
    const envelope = sampleEnvelope(`evt_${String(index).padStart(26, "0")}`, { acceptedAtMs: START_MS + index });
    accepts.push(await framesOf(() => drivers.lanes.append([envelope])));
    const items = await drivers.lanes.take("medium", 1, new AbortController().signal, () => true);
    const settled = async (): Promise<void> => {
      drivers.ledger.record([{ kind: "delivery", delivery: sampleRecord(envelope) }]);
      await drivers.lanes.ack(items);
    };
    settlements.push(await framesOf(settled));
  }
  assert.deepEqual([medianOf(accepts), medianOf(settlements)], [5, 6]);
});

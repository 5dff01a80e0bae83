/** The embedded set under test: in a file of a temporary folder, or in memory. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { EmbeddedBounds, EmbeddedDrivers } from "@posthaste/shared/drivers/embedded.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { openDatabaseFile } from "@posthaste/shared/drivers/sqlite/database.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { ManualClock } from "../support/clocks/manual-clock.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import type { Harness, HarnessBounds } from "./harness.ts";
import { START_MS } from "../support/samples.ts";

export interface EmbeddedHarness extends Harness {
  readonly drivers: EmbeddedDrivers;
  readonly clock: ManualClock;
  /** The handle below the drivers, to look at or to break. */
  readonly raw: DatabaseSync;
  /** What the drivers told of. */
  readonly faults: readonly unknown[];
}

export const MASTER_KEY = new Uint8Array(32).fill(7);

const UNBOUNDED = Number.MAX_SAFE_INTEGER;

export function createTemporaryFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "posthaste-test-"));
  return {
    path,
    [Symbol.dispose]() {
      chmodSync(path, 0o700);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** File-backed: a crash closes the file under the old set, and the next one reads what was committed. */
export async function openFileHarness(bounds: HarnessBounds = {}): Promise<EmbeddedHarness> {
  const folder = createTemporaryFolder();
  const path = join(folder.path, "data");
  return createHarness({
    bounds,
    openHandle: () => openDatabaseFile(path),
    reopenHandle(old) {
      old.close();
      return openDatabaseFile(path);
    },
    cleanUp: () => folder[Symbol.dispose](),
  });
}

/** In memory: one database outlives the simulated processes. */
export async function openMemoryHarness(bounds: HarnessBounds = {}): Promise<EmbeddedHarness> {
  return createHarness({
    bounds,
    openHandle: () => new DatabaseSync(":memory:"),
    reopenHandle: (old) => old,
    cleanUp: () => undefined,
  });
}

function createHarness(options: {
  readonly bounds: HarnessBounds;
  readonly openHandle: () => DatabaseSync;
  readonly reopenHandle: (old: DatabaseSync) => DatabaseSync;
  readonly cleanUp: () => void;
}): EmbeddedHarness {
  const clock = createManualClock(START_MS);
  let raw = options.openHandle();
  let processClock = clock.forProcess();
  const faults: unknown[] = [];
  let drivers = openSet();

  function openSet(): EmbeddedDrivers {
    return openEmbedded({
      clock: processClock,
      entropy: systemEntropy,
      hasher: systemHasher,
      sealer: createSealer(MASTER_KEY),
      database: raw,
      bounds: embeddedBounds(options.bounds),
      onFault: (error) => void faults.push(error),
    });
  }

  return {
    clock,
    faults,
    get drivers() {
      return drivers;
    },
    get raw() {
      return raw;
    },
    async reopen() {
      processClock.kill();
      raw = options.reopenHandle(raw);
      processClock = clock.forProcess();
      drivers = openSet();
    },
    async [Symbol.asyncDispose]() {
      await drivers[Symbol.asyncDispose]();
      raw.close();
      options.cleanUp();
    },
  };
}

function embeddedBounds(bounds: HarnessBounds): EmbeddedBounds {
  return {
    lanes: { itemsMax: bounds.laneItemsMax ?? UNBOUNDED, bytesMax: bounds.laneBytesMax ?? UNBOUNDED },
    retryQueue: { itemsMax: bounds.retryItemsMax ?? UNBOUNDED, bytesMax: UNBOUNDED },
    deadLetterBytesMax: bounds.deadLetterBytesMax ?? UNBOUNDED,
    endpointsPerTenantMax: bounds.endpointsMax ?? 1000,
    emptyTenantsMax: bounds.emptyTenantsMax ?? 1000,
    apiKeysPerTenantMax: bounds.apiKeysMax ?? 1000,
    apiKeysEndedMax: bounds.apiKeysEndedMax ?? 10_000,
    databaseBytesMax: bounds.databaseBytesMax ?? UNBOUNDED,
    ...(bounds.catalogue === undefined ? {} : { catalogue: bounds.catalogue }),
    claimBytesMax: bounds.claimBytesMax ?? UNBOUNDED,
    cancelledMax: bounds.cancelledMax ?? UNBOUNDED,
    limitSubjectsMax: bounds.limitSubjectsMax ?? 1000,
  };
}

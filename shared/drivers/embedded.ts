/**
 * The embedded driver set: everything in one process and one SQLite file, no servers. The only place where the
 * drivers of `sqlite/` and `memory/` meet.
 */
import { damagedEndpoints } from "../ports/directory.ts";
import type { DatabaseSync } from "node:sqlite";

import type { Clock, Entropy, Hasher, Sealer } from "../lib/ambient.ts";
import { assert } from "../lib/assert.ts";
import type { Drivers } from "../ports/drivers.ts";
import type { QuarantinedRecords } from "../ports/quarantined-records.ts";
import { createLeases } from "./memory/leases.ts";
import { createNotifier } from "./memory/notifier.ts";
import { createRateLimiter } from "./memory/rate-limiter.ts";
import { createTail } from "./memory/tail.ts";
import { createAlertBoard } from "./sqlite/alert-board.ts";
import { createBegunAttempts } from "./sqlite/begun-attempts.ts";
import type { QueueBounds } from "./sqlite/admission.ts";
import { createBoundedLists } from "./sqlite/bounded-list.ts";
import { createCancellations } from "./sqlite/cancellations.ts";
import { createClaims } from "./sqlite/claims.ts";
import { createDatabase, explained, openDatabaseFile, prepareDatabase } from "./sqlite/database.ts";
import type { CopyHold } from "./sqlite/copy-hold.ts";
import { createCopyHolds } from "./sqlite/copy-hold.ts";
import { createDeadLetters } from "./sqlite/dead-letters.ts";
import { openDirectory } from "./sqlite/directory.ts";
import { createEventStore } from "./sqlite/event-store.ts";
import { openEventTypes } from "./sqlite/event-types.ts";
import type { CatalogueBounds } from "./sqlite/event-types.ts";
import { createGroupCommit } from "./sqlite/group-commit.ts";
import { openApiKeyStore } from "./sqlite/api-keys.ts";
import { createLanes } from "./sqlite/lanes.ts";
import { createLedger } from "./sqlite/ledger.ts";
import { createRetention } from "./sqlite/retention.ts";
import { createRetryQueue } from "./sqlite/retry-queue.ts";
import { createStats } from "./sqlite/stats.ts";

/** Every bound has a default at its driver; tests and small machines set smaller ones. */
export interface EmbeddedBounds {
  readonly lanes?: QueueBounds;
  readonly retryQueue?: QueueBounds;
  readonly deadLetterBytesMax?: number;
  readonly endpointsPerTenantMax?: number;
  /** Without endpoints, of which the version is kept. */
  readonly emptyTenantsMax?: number;
  readonly apiKeysPerTenantMax?: number;
  readonly apiKeysEndedMax?: number;
  readonly catalogue?: CatalogueBounds;
  readonly claimBytesMax?: number;
  readonly cancelledMax?: number;
  readonly databaseBytesMax?: number;
  readonly limitSubjectsMax?: number;
  /** Ledger and stats writes that may wait; past it they are dropped and counted. */
  readonly postsWaitingMax?: number;
}

export interface EmbeddedOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly sealer: Sealer;
  /** A folder that this process alone may use, or a database that the caller has open and closes. */
  readonly database: DatabaseSync | { readonly folder: string };
  readonly bounds?: EmbeddedBounds;
  /** Gets what a notifier's listener threw, or what was to follow a commit. Must not throw. */
  readonly onFault?: (error: unknown) => void;
}

export interface EmbeddedDrivers extends Drivers {
  /** Ledger and stats writes that were lost to overload or a failing disk since the start. */
  lostCount(): number;
  /**
   * Lets another process copy the file while this one goes on. Only of a folder. Throws `conflict` while there is
   * another copy, and what the disk says.
   */
  beginCopy(): CopyHold;
}

/** Throws `store-unavailable` when another process uses the folder, a plain Error when the file is not usable. */
export function openEmbedded(options: EmbeddedOptions): EmbeddedDrivers {
  const isOurs = "folder" in options.database;
  const handle = "folder" in options.database ? openDatabaseFile(options.database.folder) : options.database;
  try {
    if (!isOurs) prepareDatabase(handle);
    return gather(options, handle);
  } catch (error) {
    if (isOurs) handle.close();
    // Damage may show only when the stores read what they begin with.
    throw "folder" in options.database ? explained(error, options.database.folder) : error;
  }
}

function gather(options: EmbeddedOptions, handle: DatabaseSync): EmbeddedDrivers {
  const { clock, sealer, bounds = {} } = options;
  const folder = "folder" in options.database ? options.database.folder : null;
  // What sets timers is stopped when a later store cannot be opened, else they would keep the process.
  using opening = new DisposableStack();
  const database = createDatabase(handle);
  const onFault = options.onFault ?? (() => undefined);
  const writer = createGroupCommit({ database, clock, onFault, ...given("postsWaitingMax", bounds.postsWaitingMax) });
  const events = createEventStore(database, clock);
  const stats = createStats({ database, writer, clock });
  opening.defer(() => stats.stop());
  const queues = { database, writer, events, clock, onFault };
  const [notifier, tail] = [createNotifier({ onFault }), createTail({ onFault })];
  const retryQueue = createRetryQueue({ ...queues, ...given("bounds", bounds.retryQueue) });
  opening.defer(() => retryQueue.stop());
  const listed = { database, writer, lists: createBoundedLists({ database, clock }), onFault };
  const retention = createRetention({ database, writer, clock, ...given("databaseBytesMax", bounds.databaseBytesMax) });
  opening.defer(() => retention.stop());
  writer.onCommit(() => retention.wake());
  const copies = folder === null ? null : createCopyHolds({ database, folder });
  if (copies !== null) writer.onCommit(() => copies.afterCommit());

  async function flush(): Promise<void> {
    stats.write();
    await writer.flush();
  }
  const directory = openDirectory({
    database,
    writer,
    sealer,
    notifier,
    clock,
    onFault,
    ...given("endpointsMax", bounds.endpointsPerTenantMax),
    ...given("emptyTenantsMax", bounds.emptyTenantsMax),
  });

  const drivers: EmbeddedDrivers = {
    lanes: createLanes({ ...queues, ...given("bounds", bounds.lanes) }),
    retryQueue,
    deadLetters: createDeadLetters({ ...listed, ...given("bytesMax", bounds.deadLetterBytesMax) }),
    ledger: createLedger(listed),
    stats,
    directory,
    apiKeys: openApiKeyStore({
      ...queues,
      ...given("keysMax", bounds.apiKeysPerTenantMax),
      ...given("endedMax", bounds.apiKeysEndedMax),
    }),
    eventTypes: openEventTypes({ ...queues, ...given("bounds", bounds.catalogue) }),
    claims: createClaims({ database, writer, clock, ...given("bytesMax", bounds.claimBytesMax) }),
    cancellations: createCancellations({ database, writer, clock, ...given("cancelledMax", bounds.cancelledMax) }),
    leases: createLeases({ clock }),
    begunAttempts: createBegunAttempts({ database, writer, clock }),
    alertBoard: createAlertBoard({ database, writer }),
    rateLimiter: createRateLimiter({ clock, ...given("subjectsMax", bounds.limitSubjectsMax) }),
    notifier,
    tail,
    quarantinedRecords: nothingQuarantined,
    cursorSealer: sealer.derived("cursors"),
    spool: null,
    missedLedger: null,
    health: () => writer.health(),
    // One file holds everything: it is there or it is not. A row in it may be damaged.
    degraded: () => Promise.resolve(damagedEndpoints(directory.damaged())),
    flush,
    lostCount: () => writer.lostCount() + stats.lostCount(),
    beginCopy() {
      assert(copies !== null, "a database without a folder is nobody's to copy");
      return copies.begin();
    },
    async [Symbol.asyncDispose]() {
      // The last steps in order: nothing new by timer, what was recorded to disk, then the file.
      retention.stop();
      retryQueue.stop();
      await flush();
      stats.stop();
      if (folder !== null) handle.close();
    },
  };
  opening.move();
  return drivers;
}

/** A row that does not read back stays where it is, is passed over and told at each start. */
const nothingQuarantined: QuarantinedRecords = {
  list: () => Promise.resolve({ rows: [], next: null }),
  count: () => Promise.resolve(0),
  find: () => Promise.resolve(null),
  remove: () => Promise.resolve(),
  putBack: () => Promise.resolve(false),
};

/** An option that is left out when it was not given, as exact optional properties ask. */
function given<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [Key in Name]: Value });
}

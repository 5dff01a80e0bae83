/** The contracts of all ports over the embedded set, in a file; the queues in memory, too, as the simulation has them. */
import { begunAttemptsContract } from "./begun-attempts.contract.ts";
import { claimsContract } from "./claims.contract.ts";
import { deadLettersContract } from "./dead-letters.contract.ts";
import { directoryContract } from "./directory.contract.ts";
import { driversContract } from "./drivers.contract.ts";
import { openFileHarness, openMemoryHarness } from "./embedded-harness.ts";
import { apiKeysContract } from "./api-keys.contract.ts";
import { laneBooksContract, lanesContract } from "./lanes.contract.ts";
import { leasesContract } from "./leases.contract.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { ledgerRetentionContract } from "./ledger-retention.contract.ts";
import { notifierContract } from "./notifier.contract.ts";
import { quarantinedRecordsContract } from "./quarantined-records.contract.ts";
import { rateLimiterContract } from "./rate-limiter.contract.ts";
import { retryQueueContract } from "./retry-queue.contract.ts";
import { statsContract } from "./stats.contract.ts";

lanesContract("embedded", openFileHarness);
laneBooksContract("embedded", openFileHarness);
retryQueueContract("embedded", openFileHarness);
deadLettersContract("embedded", openFileHarness);
ledgerContract("embedded", openFileHarness);
ledgerRetentionContract("embedded", openFileHarness);
directoryContract("embedded", openFileHarness);
apiKeysContract("embedded", openFileHarness);
claimsContract("embedded", openFileHarness);
leasesContract("embedded", openFileHarness);
begunAttemptsContract("embedded", openFileHarness);
quarantinedRecordsContract("embedded", openFileHarness);
statsContract("embedded", openFileHarness);
driversContract("embedded", openFileHarness);
rateLimiterContract("embedded", openMemoryHarness);
notifierContract("embedded", openMemoryHarness);

lanesContract("embedded in memory", openMemoryHarness);
laneBooksContract("embedded in memory", openMemoryHarness);
retryQueueContract("embedded in memory", openMemoryHarness);
driversContract("embedded in memory", openMemoryHarness);

/** The simulation runs the distributed set on a model of Redis: on it the set passes the contracts that it passes on a real one. */
import { claimsContract } from "../../contract/claims.contract.ts";
import { deadLettersContract } from "../../contract/dead-letters.contract.ts";
import { directoryContract } from "../../contract/directory.contract.ts";
import { openModelHarness } from "../../contract/distributed-harness.ts";
import { driversContract } from "../../contract/drivers.contract.ts";
import { apiKeysContract } from "../../contract/api-keys.contract.ts";
import { lanesContract } from "../../contract/lanes.contract.ts";
import { leasesContract } from "../../contract/leases.contract.ts";
import { ledgerContract } from "../../contract/ledger.contract.ts";
import { ledgerRetentionContract } from "../../contract/ledger-retention.contract.ts";
import { notifierContract } from "../../contract/notifier.contract.ts";
import { rateLimiterContract } from "../../contract/rate-limiter.contract.ts";
import { retryQueueContract } from "../../contract/retry-queue.contract.ts";
import { statsContract } from "../../contract/stats.contract.ts";

lanesContract("the model of Redis", openModelHarness);
retryQueueContract("the model of Redis", openModelHarness);
deadLettersContract("the model of Redis", openModelHarness);
ledgerContract("the model of Redis", openModelHarness);
ledgerRetentionContract("the model of Redis", openModelHarness);
directoryContract("the model of Redis", openModelHarness);
apiKeysContract("the model of Redis", openModelHarness);
claimsContract("the model of Redis", openModelHarness);
leasesContract("the model of Redis", openModelHarness);
statsContract("the model of Redis", openModelHarness);
driversContract("the model of Redis", openModelHarness);
rateLimiterContract("the model of Redis", openModelHarness);
notifierContract("the model of Redis", openModelHarness);

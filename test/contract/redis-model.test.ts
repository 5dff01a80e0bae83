/** The simulation runs the distributed set on a model of Redis: on it the set passes the contracts that it passes on a real one. */
import { claimsContract } from "./claims.contract.ts";
import { deadLettersContract } from "./dead-letters.contract.ts";
import { directoryContract } from "./directory.contract.ts";
import { openModelHarness } from "./distributed-harness.ts";
import { driversContract } from "./drivers.contract.ts";
import { keyRingContract } from "./key-ring.contract.ts";
import { lanesContract } from "./lanes.contract.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { ledgerRetentionContract } from "./ledger-retention.contract.ts";
import { notifierContract } from "./notifier.contract.ts";
import { rateLimiterContract } from "./rate-limiter.contract.ts";
import { retryQueueContract } from "./retry-queue.contract.ts";
import { statsContract } from "./stats.contract.ts";

lanesContract("the model of Redis", openModelHarness);
retryQueueContract("the model of Redis", openModelHarness);
deadLettersContract("the model of Redis", openModelHarness);
ledgerContract("the model of Redis", openModelHarness);
ledgerRetentionContract("the model of Redis", openModelHarness);
directoryContract("the model of Redis", openModelHarness);
keyRingContract("the model of Redis", openModelHarness);
claimsContract("the model of Redis", openModelHarness);
statsContract("the model of Redis", openModelHarness);
driversContract("the model of Redis", openModelHarness);
rateLimiterContract("the model of Redis", openModelHarness);
notifierContract("the model of Redis", openModelHarness);

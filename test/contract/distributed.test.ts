/** The distributed set as a whole passes the contract of each port, as the embedded one does; four are in a file of their own. */
import { cancellationsContract } from "./cancellations.contract.ts";
import { begunAttemptsContract } from "./begun-attempts.contract.ts";
import { deadLettersContract } from "./dead-letters.contract.ts";
import { directoryContract } from "./directory.contract.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { driversContract } from "./drivers.contract.ts";
import { apiKeysContract } from "./api-keys.contract.ts";
import { lanesContract } from "./lanes.contract.ts";
import { leasesContract } from "./leases.contract.ts";
import { notifierContract } from "./notifier.contract.ts";
import { quarantinedRecordsContract } from "./quarantined-records.contract.ts";
import { rateLimiterContract } from "./rate-limiter.contract.ts";
import { retryQueueContract } from "./retry-queue.contract.ts";
import { statsContract } from "./stats.contract.ts";

lanesContract("distributed", openDistributedHarness);
retryQueueContract("distributed", openDistributedHarness);
deadLettersContract("distributed", openDistributedHarness);
directoryContract("distributed", openDistributedHarness);
apiKeysContract("distributed", openDistributedHarness);
cancellationsContract("distributed", openDistributedHarness);
leasesContract("distributed", openDistributedHarness);
begunAttemptsContract("distributed", openDistributedHarness);
quarantinedRecordsContract("distributed", openDistributedHarness);
statsContract("distributed", openDistributedHarness);
driversContract("distributed", openDistributedHarness);
rateLimiterContract("distributed", openDistributedHarness);
notifierContract("distributed", openDistributedHarness);

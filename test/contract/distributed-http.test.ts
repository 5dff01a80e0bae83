/** As distributed.test.ts, with every call that stands alone over HTTP: the ports that a gateway without TCP needs. */
import { apiKeysContract } from "./api-keys.contract.ts";
import { cancellationsContract } from "./cancellations.contract.ts";
import { claimsContract } from "./claims.contract.ts";
import { cursorsContract } from "./cursors.contract.ts";
import { deadLettersContract } from "./dead-letters.contract.ts";
import { directoryContract } from "./directory.contract.ts";
import { openHttpHarness } from "./distributed-harness.ts";
import { driversContract } from "./drivers.contract.ts";
import { lanesContract } from "./lanes.contract.ts";
import { leasesContract } from "./leases.contract.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { ledgerListsContract } from "./ledger-lists.contract.ts";
import { rateLimiterContract } from "./rate-limiter.contract.ts";
import { statsContract } from "./stats.contract.ts";

lanesContract("http", openHttpHarness);
directoryContract("http", openHttpHarness);
apiKeysContract("http", openHttpHarness);
claimsContract("http", openHttpHarness);
cancellationsContract("http", openHttpHarness);
leasesContract("http", openHttpHarness);
ledgerContract("http", openHttpHarness);
ledgerListsContract("http", openHttpHarness);
deadLettersContract("http", openHttpHarness);
rateLimiterContract("http", openHttpHarness);
statsContract("http", openHttpHarness);
driversContract("http", openHttpHarness);
cursorsContract("http", openHttpHarness);

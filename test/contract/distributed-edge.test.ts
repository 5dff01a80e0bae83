/** The ports of a gateway without TCP, a driver set for each call, before the lanes and queues of the processors. */
import { eventTypesContract } from "./event-types.contract.ts";
import { apiKeysContract } from "./api-keys.contract.ts";
import { cancellationsContract } from "./cancellations.contract.ts";
import { claimsContract } from "./claims.contract.ts";
import { cursorsContract } from "./cursors.contract.ts";
import { directoryContract } from "./directory.contract.ts";
import { openEdgeHarness } from "./distributed-harness.ts";
import { lanesContract } from "./lanes.contract.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { ledgerListsContract } from "./ledger-lists.contract.ts";
import { rateLimiterContract } from "./rate-limiter.contract.ts";
import { statsContract } from "./stats.contract.ts";

lanesContract("edge", openEdgeHarness);
directoryContract("edge", openEdgeHarness);
apiKeysContract("edge", openEdgeHarness);
eventTypesContract("edge", openEdgeHarness);
claimsContract("edge", openEdgeHarness);
cancellationsContract("edge", openEdgeHarness);
ledgerContract("edge", openEdgeHarness);
ledgerListsContract("edge", openEdgeHarness);
rateLimiterContract("edge", openEdgeHarness);
statsContract("edge", openEdgeHarness);
cursorsContract("edge", openEdgeHarness);

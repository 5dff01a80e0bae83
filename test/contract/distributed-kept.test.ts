/** As distributed.test.ts, for the ports that keep things for days: apart, for days of a real Redis take long. */
import { claimsContract } from "./claims.contract.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { ledgerTimesContract } from "./ledger-times.contract.ts";
import { ledgerListsContract } from "./ledger-lists.contract.ts";
import { ledgerRetentionContract } from "./ledger-retention.contract.ts";

ledgerContract("distributed", openDistributedHarness);
ledgerTimesContract("distributed", openDistributedHarness);
ledgerListsContract("distributed", openDistributedHarness);
ledgerRetentionContract("distributed", openDistributedHarness);
claimsContract("distributed", openDistributedHarness);

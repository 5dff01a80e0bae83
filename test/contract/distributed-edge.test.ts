/** What a gateway without TCP accepts comes out of the lanes of the processors as the port promises. */
import { openEdgeHarness } from "./distributed-harness.ts";
import { lanesContract } from "./lanes.contract.ts";

lanesContract("edge", openEdgeHarness);

/** The lanes on the log pass the contract of their port; the delay topics and the dead letters do so beside their own tests. */
import { lanesContract } from "../../contract/lanes.contract.ts";
import { openLogLanesHarness } from "../partitioned/lanes-harness.ts";

lanesContract("log", openLogLanesHarness);

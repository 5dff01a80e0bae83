/** The lanes on the log pass the contract of their port; the wheel and the dead letters do so beside their own tests. */
import { lanesContract } from "./lanes.contract.ts";
import { openLogLanesHarness } from "./log-lanes-harness.ts";

lanesContract("log", openLogLanesHarness);

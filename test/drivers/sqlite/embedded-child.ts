/**
 * A process for the tests of the embedded set. `open FOLDER` tries to open it and prints what came of it;
 * `append FOLDER` appends until it is killed and prints each id once its append resolved.
 */
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { sampleEnvelope } from "../../support/samples.ts";

const [mode, folder] = process.argv.slice(2);

function open() {
  return openEmbedded({
    clock: systemClock,
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(MASTER_KEY),
    database: { folder: folder ?? "" },
  });
}

if (mode === "open") {
  try {
    await open()[Symbol.asyncDispose]();
    process.stdout.write("opened\n");
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : "unknown"}\n`);
  }
}

if (mode === "append") {
  const { lanes } = open();
  for (let count = 0; ; count++) {
    await lanes.append([sampleEnvelope(`evt_${count}`)]);
    process.stdout.write(`evt_${count}\n`);
  }
}

/** `posthaste receiver`: verifies deliveries with given secrets, for an endpoint of any Posthaste. */
import { styleText } from "node:util";
import { parseSecret } from "@posthaste/shared/domain/signature.ts";
import { systemClock, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { deliveryLine } from "./delivery-line.ts";
import { openLocalReceiver } from "./local-receiver.ts";
import { BEHAVIOUR_PATHS } from "./receiver-behaviour.ts";
import { untilSignal } from "@posthaste/shared/runtime/entry.ts";

export async function runReceiver(secrets: readonly string[], port: number): Promise<void> {
  const stopped = untilSignal();
  const keys = secrets.map(parseSecret).flatMap((parsed) => (parsed.kind === "ok" ? [parsed.key] : []));
  await using receiver = await openLocalReceiver({
    clock: systemClock,
    hasher: systemHasher,
    port,
    isPortWish: false,
    portSetting: "--port",
    keysFor: async () => keys,
    onReceived: (received) => void process.stdout.write(`  ${deliveryLine(received)}\n`),
  });
  process.stdout.write(
    `  Receiver   ${styleText("cyan", receiver.url)}\n  ${styleText("dim", `Failures: ${BEHAVIOUR_PATHS}`)}\n`,
  );
  await stopped;
}

/** `posthaste dev`: everything in one process, with a receiver that shows each delivery as it comes. */
import type { Config } from "@posthaste/shared/domain/config.ts";
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";
import { createStreamSink } from "@posthaste/shared/runtime/stream-sink.ts";
import { systemClock, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { attemptLine } from "./attempt-line.ts";
import { deliveryLine } from "./delivery-line.ts";
import { openPosthaste } from "./embedded.ts";
import type { KeysFor } from "./endpoint-keys.ts";
import { createKeysFor } from "./endpoint-keys.ts";
import { openLocalReceiver } from "./local-receiver.ts";
import { RECEIVER_PORT } from "./receiver-behaviour.ts";
import { startScreen } from "./start-screen.ts";
import { unlessStopped, untilSignal } from "@posthaste/shared/runtime/entry.ts";
import { VERSION } from "./version.ts";

export interface DevOptions {
  readonly config: Config;
  readonly portal: PortalLook;
  readonly isLogLevelSet: boolean;
}

export async function runDev({ config, portal, isLogLevelSet }: DevOptions): Promise<void> {
  const stopped = untilSignal();
  const { dataFolder } = config;
  const write = (text: string): void => void process.stdout.write(text);
  const keys = Promise.withResolvers<KeysFor>();
  // Opened first and closed last: what an earlier run left is delivered at once, and attempts in flight end with it.
  await using receiver = await openLocalReceiver({
    clock: systemClock,
    hasher: systemHasher,
    host: "127.0.0.1",
    port: config.port === RECEIVER_PORT ? 0 : RECEIVER_PORT,
    isPortWish: true,
    portSetting: "PORT",
    keysFor: async (port, pathAndQuery) => (await keys.promise)(port, pathAndQuery),
    onReceived: (received) => write(`  ${deliveryLine(received)}\n`),
  });
  const opening = openPosthaste({
    config,
    portal,
    isDev: true,
    logLevel: isLogLevelSet ? config.logLevel : "warn",
    writeLog: createStreamSink(process.stderr),
    showKeyOnce: () => undefined,
    onAttempt: (attempted, at) => write(`  ${attemptLine(attempted, at)}\n`),
  });
  await using posthaste = await unlessStopped(stopped, opening);
  keys.resolve(createKeysFor(posthaste.drivers, systemClock));
  const { operatorKey, dashboardUrl, url, port } = posthaste;
  assert(operatorKey !== null && dashboardUrl !== null, "dev always knows its operator key");
  write(
    startScreen({
      version: VERSION,
      url,
      receiverUrl: receiver.url,
      receiverMoved: movedFrom(receiver.port, port),
      operatorKey,
      dashboardUrl,
      dataFolder,
    }),
  );
  await stopped;
  write("\n  Stopping: attempts in flight end first. Ctrl-C again stops at once.\n");
}

/** Endpoints that an earlier run made at the usual port are not this receiver's now, so the reader is told. */
function movedFrom(receiverPort: number, apiPort: number): string | null {
  if (receiverPort === RECEIVER_PORT) return null;
  const holder = apiPort === RECEIVER_PORT ? "the API listens there" : "another program listens there";
  return `not on ${RECEIVER_PORT}: ${holder}, and gets what is sent to endpoints at that port`;
}

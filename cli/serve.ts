/** `posthaste serve`: everything in one process with production defaults. Logs are JSON lines on stdout. */
import type { Config } from "@posthaste/shared/domain/config.ts";
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";
import { createStreamSink } from "@posthaste/shared/runtime/stream-sink.ts";
import { openPosthaste } from "./embedded.ts";
import { unlessStopped, untilSignal } from "@posthaste/shared/runtime/entry.ts";

export async function runServe(config: Config, portal: PortalLook): Promise<void> {
  const stopped = untilSignal();
  const opening = openPosthaste({
    config,
    portal,
    isDev: false,
    logLevel: config.logLevel,
    writeLog: createStreamSink(process.stdout),
    // On stderr, so that the key is no part of the logs.
    showKeyOnce: (key) =>
      void process.stderr.write(`Operator API key, shown this once and kept as a hash only: ${key}\n`),
  });
  const posthaste = await unlessStopped(stopped, opening);
  await stopped;
  await posthaste[Symbol.asyncDispose]();
}

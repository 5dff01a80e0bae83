/** A gateway on Redis and Kafka, on a runtime with sockets, from its settings to its end. Any number of them, on any number of machines. */
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { openDistributedProgram } from "@posthaste/shared/runtime/distributed-program.ts";
import { runWithHelp, unlessStopped, untilSignal } from "@posthaste/shared/runtime/entry.ts";
import { distributedUsage } from "@posthaste/shared/runtime/help.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { openVetter } from "@posthaste/shared/drivers/http/vetter.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { createGateway } from "../app.ts";
import { limitsFor } from "../request/deps.ts";
import { ensureOperatorKey } from "../resources/operator-key.ts";

/** A stop waits this long for requests in flight; a little longer than the gateway's own budget for one. */
const REQUESTS_END_MS = 11_000;

const HELP = distributedUsage(
  "gateway",
  "Takes events over HTTP, for processors to deliver. Any number of them may run.",
);

/** Sets the exit code; resolves when the gateway has ended. */
export async function runGateway(): Promise<void> {
  await runWithHelp("gateway", HELP, serveUntilStopped);
}

async function serveUntilStopped(): Promise<number> {
  const { env } = process;
  const stopped = untilSignal();
  await using program = await unlessStopped(stopped, openDistributedProgram("gateway", env, openVetter));
  const config = parseConfig(env);
  const ensuring = ensureOperatorKey({ ...program, apiKeys: program.drivers.apiKeys }, config.operatorKey, (key) =>
    // On stderr, so that the key is no part of the logs.
    process.stderr.write(`Operator API key, shown this once and kept as a hash only: ${key}\n`),
  );
  await unlessStopped(stopped, ensuring);
  const { inboundMax } = program.descriptors;
  const gateway = createGateway({ ...program, limits: limitsFor(inboundMax) });
  const listening = await serveHttp({
    clock: systemClock,
    host: config.host,
    port: config.port,
    portSetting: "PORT",
    connectionsMax: inboundMax,
    fetch: gateway.fetch,
  });
  program.log.write("info", "gateway.listening", { url: listening.url });
  await stopped;
  gateway.stop();
  const cut = await listening.stopWithin(config.stopNoticeMs, REQUESTS_END_MS, program.clock);
  if (cut === 0) return 0;
  program.telemetry.store.unfinished([`${cut} requests had no answer after ${REQUESTS_END_MS} ms`]);
  return 1;
}

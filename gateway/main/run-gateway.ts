/** A gateway on Redis and Kafka, on a runtime with sockets, from its settings to its end. Any number of them, on any number of machines. */
import cluster from "node:cluster";
import type { Config } from "@posthaste/shared/domain/config.ts";
import { ConfigError, parseConfig } from "@posthaste/shared/domain/config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";
import { CHILD_NUMBER } from "@posthaste/shared/domain/unknown-settings.ts";
import { createJsonLog } from "@posthaste/shared/drivers/json-log.ts";
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";
import { openDistributedProgram } from "@posthaste/shared/runtime/distributed-program.ts";
import { runWithHelp, unlessStopped, untilSignal } from "@posthaste/shared/runtime/entry.ts";
import { distributedUsage } from "@posthaste/shared/runtime/help.ts";
import { readPortalLook } from "@posthaste/shared/runtime/portal-look.ts";
import { createStreamSink } from "@posthaste/shared/runtime/stream-sink.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { readQueues } from "@posthaste/shared/ports/queue-samples.ts";
import { openVetter } from "@posthaste/shared/drivers/http/vetter.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { uplotSource } from "@posthaste/shared/runtime/uplot-source.ts";
import { createGateway } from "../app.ts";
import { createDashboard } from "../dashboard/dashboard.ts";
import { createStartGate } from "../start-gate.ts";
import { openParent } from "./processes/child.ts";
import { runProcesses } from "./processes/parent.ts";
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
  await runWithHelp("gateway", HELP, async () => {
    const config = parseConfig(process.env);
    const isChild = process.env[CHILD_NUMBER] !== undefined;
    return config.gatewayProcesses > 1 && !isChild ? await runSeveral(config) : await serveUntilStopped(config);
  });
}

/** Throws `ConfigError`. */
async function runSeveral({ gatewayProcesses: count, logLevel }: Config): Promise<number> {
  parseDistributed(process.env);
  readPortalLook(process.env);
  if ("Deno" in globalThis) throw new ConfigError([NOT_ON_DENO]);
  if (!cluster.isPrimary) throw new ConfigError([NOT_IN_A_CLUSTER]);
  const clock = systemClock;
  const log = createJsonLog({ clock, level: logLevel, write: createStreamSink(process.stdout) });
  return await runProcesses({ count, clock, entropy: systemEntropy, log, stopped: untilSignal() });
}

const NOT_ON_DENO =
  "GATEWAY_PROCESSES must be 1 on Deno, or left out: its processes cannot share a port. Start several gateways with a PORT each behind a balancer, or run the gateway on Bun or Node";

const NOT_IN_A_CLUSTER =
  "GATEWAY_PROCESSES must be 1, or left out, in a process that another manager runs several of: leave the number to one of the two";

async function serveUntilStopped(config: Config): Promise<number> {
  const { env } = process;
  const portal = readPortalLook(env);
  let own = (_format: MetricsFormat): Promise<string> => Promise.resolve("");
  const parent = openParent(systemClock, (format) => own(format));
  const stopped = untilSignal(parent?.wantsStop);
  await using program = await unlessStopped(stopped, openDistributedProgram("gateway", env, openVetter));
  own = program.collectMetrics;
  const { inboundMax } = program.descriptors;
  const collectMetrics = parent?.collect ?? program.collectMetrics;
  const { sealer, drivers, clock } = program;
  const dashboard = createDashboard({
    sealer,
    portal,
    uplot: uplotSource(),
    queues: () => readQueues(drivers, clock),
    alerts: () => drivers.alertBoard.read(),
  });
  const { catalogue } = config;
  const gateway = createGateway({ ...program, catalogue, collectMetrics, limits: limitsFor(inboundMax), dashboard });
  const gate = createStartGate(gateway.fetch);
  const listening = await serveHttp({
    clock: systemClock,
    host: config.host,
    port: config.port,
    portSetting: "PORT",
    isShared: parent !== null,
    connectionsMax: inboundMax,
    fetch: gate.fetch,
  });
  // Only now: a start that cannot listen shows and stores no key.
  const ensuring = ensureOperatorKey({ ...program, apiKeys: program.drivers.apiKeys }, config.operatorKey, (key) =>
    // On stderr, so that the key is no part of the logs.
    process.stderr.write(`Operator API key, shown this once and kept as a hash only: ${key}\n`),
  );
  await unlessStopped(stopped, ensuring);
  gate.open();
  program.log.write("info", "gateway.listening", { url: listening.url });
  parent?.tellListening(listening.url);
  await stopped;
  gateway.stop();
  // Without its parent the port is to be free at once for the next one.
  const noticeMs = parent?.isGone() === true ? 0 : config.stopNoticeMs;
  const cut = await listening.stopWithin(noticeMs, REQUESTS_END_MS, program.clock);
  if (cut === 0) return 0;
  program.telemetry.store.unfinished([`${cut} requests had no answer after ${REQUESTS_END_MS} ms`]);
  return 1;
}

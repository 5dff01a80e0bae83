/** `bun run processor`: a stream processor on Redis and Kafka. Any number of them, on any number of machines. */
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { openDistributedProgram } from "@posthaste/shared/runtime/distributed-program.ts";
import { runWithHelp, unlessStopped, untilSignal } from "@posthaste/shared/runtime/entry.ts";
import { distributedUsage } from "@posthaste/shared/runtime/help.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { startAlerts } from "../alerts/alerts.ts";
import { countingFailures } from "../alerts/measures.ts";
import { createInitializer } from "../initializer.ts";
import { watchLag } from "../lag-watch.ts";
import { limitsFor } from "../limits.ts";
import { startProcessor } from "../processor.ts";
import { watchLeftBehind } from "../recovery/left-behind.ts";
import { createStatus } from "../status.ts";

const HELP = distributedUsage("processor", "Delivers what gateways took. Any number of them may run.");

await runWithHelp("processor", HELP, async () => {
  const { env } = process;
  const stopping = new AbortController();
  const stopped = untilSignal().then(() => stopping.abort());
  await using program = await unlessStopped(stopped, openDistributedProgram("processor", env, openHttpTransport));
  const config = parseConfig(env);
  const { drivers, telemetry, log } = program;
  const initializer = createInitializer({
    ...program,
    steps: drivers.steps,
    onFailure: (step, error, waitMs) => telemetry.queue.loopFailed(step, error, waitMs),
  });
  const status = createStatus({
    ...program,
    health: () => drivers.health(),
    degraded: () => drivers.degraded(),
    missing: () => initializer.missing(),
    isStopping: () => stopping.signal.aborted,
  });
  const listening = await serveHttp({
    clock: systemClock,
    host: config.host,
    port: config.processorPort,
    portSetting: "PROCESSOR_PORT",
    connectionsMax: program.descriptors.inboundMax,
    fetch: status,
  });
  log.write("info", "processor.listening", { url: listening.url });
  const noticed = stopped.then(
    () => new Promise<void>((resolve) => void program.clock.timer(config.stopNoticeMs, resolve)),
  );
  await initializer.run(stopping.signal);
  let unfinished: readonly string[] = [];
  if (!stopping.signal.aborted) {
    const { disableAfterMs } = config;
    const limits = { ...limitsFor(program.descriptors.attemptsMax), disableAfterMs };
    const counted = countingFailures(telemetry);
    const processor = startProcessor({ ...program, telemetry: counted.telemetry, limits });
    log.write("info", "processor.ready", {});
    const lagWatch = watchLag({ ...program, telemetry: telemetry.queue });
    const leftBehind = watchLeftBehind({ ...program, recoverLeft: () => processor.recoverLeft() });
    const alerts = startAlerts({ ...program, ...counted, rules: config.alertRules });
    await stopped;
    alerts[Symbol.dispose]();
    lagWatch[Symbol.dispose]();
    leftBehind[Symbol.dispose]();
    unfinished = await processor.stop();
    if (unfinished.length > 0) telemetry.store.unfinished(unfinished);
  }
  // Whoever watches the processor reads the 503 before nobody answers.
  await noticed;
  await listening.kill();
  return unfinished.length === 0 ? 0 : 1;
});

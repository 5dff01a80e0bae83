/** The real gateway on embedded drivers: each 202 after its fsync. With PROCESSOR=1 the processor drains beside it. */
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { addKey, ambient, openBenchDrivers } from "./open-embedded.ts";
import { answerLines, tell } from "./talk.ts";

const { drivers, metrics, telemetry, lostSpans } = openBenchDrivers();
const transport = openHttpTransport({ clock: ambient.clock, allow: [], connectionsMax: 64 });
await addKey(drivers);
const gateway = createGateway({
  ...ambient,
  drivers,
  transport,
  telemetry,
  collectMetrics: metrics.collect,
  limits: DEFAULT_LIMITS,
});
if (process.env["PROCESSOR"] === "1")
  startProcessor({ ...ambient, drivers, transport, telemetry, limits: PROCESSOR_LIMITS });
const { port } = await serveHttp({
  clock: systemClock,
  host: "127.0.0.1",
  port: 0,
  portSetting: "PORT",
  connectionsMax: 1024,
  fetch: gateway.fetch,
});
tell({ port });
await answerLines(async () => lostSpans());

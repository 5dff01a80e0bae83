/**
 * Prints, as one line of JSON, which of our files run for one event from `POST /v1/events` to the ack, on the embedded
 * set. Measured: V8 counts the calls of each function between two looks (Node only; Bun has no such counter). Two events
 * go before, so that what runs once is not counted, and what an idle process does is taken off.
 */
import { createServer } from "node:http";
import { Session } from "node:inspector/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { addEndpoint, addKey, ambient, openBenchDrivers } from "../../bench/subjects/open-embedded.ts";
import { BENCH_KEY } from "../../bench/load.ts";

const root = `${pathToFileURL(join(import.meta.dirname, "../..")).href}/`;
const { clock } = ambient;
const never = new AbortController().signal;

let received = 0;
const receiver = createServer((request, response) => {
  request.resume().on("end", () => {
    received += 1;
    response.end();
  });
});
await new Promise<void>((resolve) => {
  receiver.listen(0, "127.0.0.1", resolve);
});
const { port } = receiver.address() as AddressInfo;

const { drivers, metrics, telemetry } = openBenchDrivers();
await addKey(drivers);
await addEndpoint(drivers, `http://127.0.0.1:${port}/`);
const transport = openHttpTransport({ clock, allow: parseCidrs("127.0.0.0/8"), connectionsMax: 8 });
const parts = { ...ambient, drivers, transport, telemetry };
const gateway = createGateway({ ...parts, collectMetrics: metrics.collect, limits: DEFAULT_LIMITS });
startProcessor({ ...parts, limits: PROCESSOR_LIMITS });

/** Publishes one event and waits until it was received, recorded and acknowledged. */
async function publishOne(): Promise<void> {
  const before = received;
  const headers = { authorization: `Bearer ${BENCH_KEY}`, "content-type": "application/json" };
  const body = '{"type":"invoice.paid","data":{"amount":12.5}}';
  const answer = await gateway.fetch(new Request("http://gateway/v1/events", { method: "POST", headers, body }));
  if (answer.status !== 202) throw new Error(await answer.text());
  const isOver = async (): Promise<boolean> => received > before && (await drivers.lanes.depth("medium")).count === 0;
  while (!(await isOver())) await clock.sleep(10, never);
}

const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });

/** Named functions that ran since the last look, by file; a module's own top level has no name. */
async function looked(): Promise<ReadonlyMap<string, readonly string[]>> {
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const ours = result.filter(({ url }) => url.startsWith(root) && /\/(?:gateway|processor|shared)\//.test(url));
  const ran = ours.map(({ url, functions }) => {
    const names = functions.filter(({ functionName, ranges }) => functionName !== "" && (ranges[0]?.count ?? 0) > 0);
    return [url.slice(root.length), names.map(({ functionName }) => functionName)] as const;
  });
  return new Map(ran.filter(([, names]) => names.length > 0));
}

await publishOne();
await publishOne();
await looked();
await publishOne();
const files = [...(await looked()).keys()].toSorted();
process.stdout.write(`${JSON.stringify(files)}\n`);
process.exit(0);

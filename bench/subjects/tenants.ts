/**
 * The real processor on embedded drivers with two tenants: `big` with ENDPOINTS endpoints that all hang, `small` with one
 * endpoint for each priority. `flood N` puts N events of each priority of the big one into the lanes; `offer N RATE`
 * publishes N events of each priority of the small one at a constant rate.
 */
import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import { Priority } from "@posthaste/shared/domain/event.ts";
import { envelopeBody } from "@posthaste/shared/domain/envelope.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { EVENT_DATA } from "../load.ts";
import { addEndpoint, ambient, openBenchDrivers } from "./open-embedded.ts";
import { answerLines, tell } from "./talk.ts";

/** Events appended at once. */
const CHUNK = 500;

const PRIORITIES = Priority.options;

const sink = process.env["SINK"] ?? "";
const endpoints = Number(process.env["ENDPOINTS"] ?? "1000");
const { drivers, telemetry } = openBenchDrivers();
const transport = openHttpTransport({ clock: ambient.clock, allow: parseCidrs("127.0.0.0/8"), connectionsMax: 512 });
for (let index = 0; index < endpoints; index += 1) {
  await addEndpoint(drivers, `${sink}/${index}/hang`, { tenant: "big", eventTypes: [`to.${index}`] });
}
for (const priority of PRIORITIES) {
  await addEndpoint(drivers, `${sink}/${priority.toLowerCase()}`, { tenant: "small", eventTypes: [priority] });
}

function envelope(tenant: string, type: string, priority: Priority) {
  const nowMs = performance.timeOrigin + performance.now();
  const dataText = JSON.stringify({ sent_at: nowMs, ...EVENT_DATA });
  return {
    id: newId("evt", Math.floor(nowMs), ambient.entropy),
    tenant,
    type,
    priority,
    acceptedAtMs: Math.floor(nowMs),
    deliverAtMs: null,
    traceparent: null,
    directoryVersion: 1,
    body: envelopeBody({ type, timestampMs: nowMs, dataText }),
  };
}

async function flood(count: number): Promise<void> {
  for (const priority of PRIORITIES) {
    for (let done = 0; done < count; done += CHUNK) {
      const indexes = Array.from({ length: Math.min(CHUNK, count - done) }, (_, index) => (done + index) % endpoints);
      await drivers.lanes.append(indexes.map((index) => envelope("big", `to.${index}`, priority)));
    }
  }
}

tell({});
await answerLines(async (line) => {
  const [command, first, second] = line.split(" ");
  if (command === "flood") {
    await flood(Number(first));
    return {};
  }
  if (command === "drain") {
    startProcessor({ ...ambient, drivers, transport, telemetry, limits: PROCESSOR_LIMITS });
    return {};
  }
  const gapMs = 1000 / Number(second);
  const startMs = performance.now();
  for (let index = 0; index < Number(first); index += 1) {
    const waitMs = startMs + index * gapMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    await drivers.lanes.append(PRIORITIES.map((priority) => envelope("small", priority, priority)));
  }
  return { ms: performance.now() - startMs };
});

/**
 * The real processor on embedded drivers. `fill N` puts N events into the lane, `drain` starts the processor; `offer N
 * RATE` publishes N events at a constant rate over all endpoints while it runs, for latencies at low load.
 */
import type { Priority } from "@posthaste/shared/domain/event.ts";
import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import { envelopeBody } from "@posthaste/shared/domain/envelope.ts";
import { SAMPLED, formatTraceparent, newTrace } from "@posthaste/shared/domain/traceparent.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { EVENT_DATA } from "../load.ts";
import { addEndpoint, ambient, openBenchDrivers } from "./open-embedded.ts";
import { answerLines, tell } from "./talk.ts";

const sink = process.env["SINK"] ?? "";
const endpoints = Number(process.env["ENDPOINTS"] ?? "1");
const { drivers, telemetry, isTraced, lostSpans } = openBenchDrivers();
const transport = openHttpTransport({ clock: ambient.clock, allow: parseCidrs("127.0.0.0/8"), connectionsMax: 512 });
for (let index = 0; index < endpoints; index += 1) await addEndpoint(drivers, `${sink}/${index}`);

function envelope(priority: Priority) {
  const nowMs = performance.timeOrigin + performance.now();
  const dataText = JSON.stringify({ sent_at: nowMs, ...EVENT_DATA });
  return {
    id: newId("evt", Math.floor(nowMs), ambient.entropy),
    tenant: "default",
    type: "invoice.paid",
    priority,
    acceptedAtMs: Math.floor(nowMs),
    deliverAtMs: null,
    traceparent: isTraced ? formatTraceparent({ ...newTrace(ambient.entropy), flags: SAMPLED }) : null,
    tracestate: null,
    directoryVersion: 1,
    body: envelopeBody({ type: "invoice.paid", timestampMs: nowMs, dataText }),
  };
}

tell({});
await answerLines(async (line) => {
  const [command, first, second] = line.split(" ");
  if (command === "fill") {
    for (let left = Number(first); left > 0; left -= 500) {
      await drivers.lanes.append(Array.from({ length: Math.min(500, left) }, () => envelope("MEDIUM")));
    }
    return {};
  }
  if (command === "drain") {
    startProcessor({ ...ambient, drivers, transport, telemetry, limits: PROCESSOR_LIMITS });
    return { atMs: performance.timeOrigin + performance.now() };
  }
  if (command === "lost") return lostSpans();
  if (command === "quit") process.exit(0);
  const count = Number(first);
  const gapMs = 1000 / Number(second);
  const startMs = performance.now();
  for (let index = 0; index < count; index += 1) {
    const waitMs = startMs + index * gapMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    await drivers.lanes.append([envelope("MEDIUM")]);
  }
  return { ms: performance.now() - startMs };
});

/** The ceilings of delivery: loops that post the same body to the same sink, nothing stored, nothing signed. */
import { Agent } from "undici-npm";
import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import { envelopeBody } from "@posthaste/shared/domain/envelope.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { EVENT_DATA } from "../load.ts";
import { answerLines, tell } from "./talk.ts";

const url = process.env["SINK"] ?? "";
const body = envelopeBody({ type: "invoice.paid", timestampMs: 0, dataText: JSON.stringify(EVENT_DATA) });
const headers = { "content-type": "application/json" };
const agent = new Agent({ connections: 64, pipelining: 1 });
const target = new URL(url);

const transport = openHttpTransport({ clock: systemClock, allow: parseCidrs("127.0.0.0/8"), connectionsMax: 512 });
const never = new AbortController().signal;

const clients: Readonly<Record<string, () => Promise<void>>> = {
  /** Guard, deadline and bounds included. */
  transport: async () => {
    const request = {
      url,
      tenant: "default",
      headers,
      body,
      timeoutMs: 15_000,
      stopping: never,
      mayBegin: () => true,
      milestones: null,
    };
    const result = await transport.send(request, never);
    if (result.kind === "fault") throw new Error(result.detail);
  },
  fetch: async () => {
    const answer = await fetch(url, { method: "POST", headers, body });
    await answer.arrayBuffer();
  },
  undici: async () => {
    const answer = await agent.request({ origin: target.origin, path: target.pathname, method: "POST", headers, body });
    await answer.body.arrayBuffer();
  },
};

tell({});
await answerLines(async (line) => {
  const [name, count, inFlight] = line.split(" ");
  const post = clients[name ?? ""];
  if (post === undefined) throw new Error(`no client ${name}`);
  let left = Number(count);
  const took: number[] = [];
  const loop = async () => {
    while (left > 0) {
      left -= 1;
      const startMs = performance.now();
      await post();
      took.push(performance.now() - startMs);
    }
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: Number(inFlight) }, () => loop()));
  const sorted = took.toSorted((left_, right) => left_ - right);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)];
  return { ms: performance.now() - startMs, p50Ms: at(0.5), p99Ms: at(0.99) };
});

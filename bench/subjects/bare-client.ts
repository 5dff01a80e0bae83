/** The ceiling of delivery: a loop that posts the same body to the same sink, nothing stored, nothing signed. */
import { Agent } from "undici-npm";
import { envelopeBody } from "@posthaste/shared/domain/envelope.ts";
import { EVENT_DATA } from "../load.ts";
import { answerLines, tell } from "./talk.ts";

const url = process.env["SINK"] ?? "";
const body = envelopeBody({ type: "invoice.paid", timestampMs: 0, dataText: JSON.stringify(EVENT_DATA) });
const headers = { "content-type": "application/json" };
const agent = new Agent({ connections: 64, pipelining: 1 });
const target = new URL(url);

const clients = {
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
  const post = name === "undici" ? clients.undici : clients.fetch;
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

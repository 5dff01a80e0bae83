/**
 * A gateway and a processor on Redis and Kafka, with drivers of their own each, whose requests and deliveries stay in the process:
 * the gateway's handler is called as its server calls it, and the transport answers in place of a receiver. `offer COUNT AT_ONCE` publishes
 * HIGH events as fast as they are taken, `pace COUNT RATE` at a constant rate; `state` tells how many were sent and how many are still held,
 * `flush` answers when ledger and stats are written.
 */
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { createInitializer } from "@posthaste/processor/initializer.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import { EVENT_DATA } from "../load.ts";
import { openDistributedDrivers } from "./open-distributed.ts";
import { ambient } from "./open-embedded.ts";
import { answerLines, tell } from "./talk.ts";

/** As a receiver on the same machine. */
const ANSWER_MS = 2;
const ANSWER: AttemptResult = {
  kind: "answered",
  status: 200,
  retryAfter: null,
  bodyExcerpt: "",
  isBodyCut: false,
  durationMs: ANSWER_MS,
};
const keys = (process.env["KEYS"] ?? "").split(",");
const body = JSON.stringify({ type: "invoice.paid", priority: "HIGH", data: EVENT_DATA });
const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
let sent = 0;

const forGateway = await openDistributedDrivers("gateway");
const gateway = createGateway({
  ...ambient,
  ...forGateway,
  transport: { vet: async () => ({ kind: "allowed" }) },
  collectMetrics: () => Promise.resolve(""),
  limits: DEFAULT_LIMITS,
});
const forProcessor = await openDistributedDrivers("processor");
const { steps } = forProcessor.drivers;
const onFailure = (step: string, error: unknown): void => void process.stderr.write(`${step}: ${String(error)}\n`);
await createInitializer({ ...ambient, steps, onFailure }).run(new AbortController().signal);
const processor = startProcessor({ ...ambient, ...forProcessor, transport: { send }, limits: PROCESSOR_LIMITS });

tell({});
await answerLines(async (line) => {
  const [command, count, second] = line.split(" ");
  if (command === "offer") await offer(Number(count), Number(second));
  if (command === "pace") await pace(Number(count), Number(second));
  if (command === "flush") await Promise.all([forGateway.drivers.flush(), forProcessor.drivers.flush()]);
  return { sent, held: processor.outstanding() };
});

async function send(): Promise<AttemptResult> {
  await Bun.sleep(ANSWER_MS);
  sent += 1;
  return ANSWER;
}

async function offer(count: number, atOnce: number): Promise<void> {
  let next = 0;
  const publishNext = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await publish(next);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, publishNext));
}

async function pace(count: number, rate: number): Promise<void> {
  const startMs = performance.now();
  const answers: Promise<void>[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    const waitMs = startMs + (nth * 1000) / rate - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    answers.push(publish(nth));
  }
  await Promise.all(answers);
}

/** Tenants in turn. */
async function publish(nth: number): Promise<void> {
  const authorization = `Bearer ${keys[nth % keys.length] ?? ""}`;
  const request = { method: "POST", headers: { ...headers, authorization }, body };
  const answer = await gateway.fetch(new Request("http://gateway/v1/events", request));
  if (answer.status !== 202) throw new Error(`an event was answered ${answer.status}: ${await answer.text()}`);
}

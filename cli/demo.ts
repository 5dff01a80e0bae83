/**
 * `posthaste demo`: real webhook bodies through the real thing, embedded or distributed: HTTP API, stores, processors,
 * HTTP receiver. Ends with a table and says by the exit code whether every delivery came once, verified and unchanged.
 */
import { styleText } from "node:util";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { untilSignal } from "@posthaste/shared/runtime/entry.ts";
import type { Payload } from "./demo-payloads.ts";
import { readPayloads } from "./demo-payloads.ts";
import { createProgress } from "./demo-progress.ts";
import { openDemoReceiver } from "./demo-receiver.ts";
import type { DemoReceiver } from "./demo-receiver.ts";
import type { DemoSystem, OpenSystem } from "./demo-system.ts";
import { openDistributedDemo, openEmbeddedDemo } from "./demo-system.ts";
import type { Published } from "./demo-table.ts";
import { demoTable } from "./demo-table.ts";

/** Publishers at work at once. */
const PUBLISHERS = 16;
/** After the last publish, the longest wait for what has not come. */
const GIVE_UP_MS = 30_000;

export async function runDemo(isDistributed: boolean): Promise<number> {
  // Nothing of a demo is worth an orderly end: what it started ends with it.
  void untilSignal().then(() => process.exit(1));
  const write = (text: string): void => void process.stdout.write(text);
  const payloads = readPayloads();
  const kib = Math.round(payloads.reduce((sum, { dataText }) => sum + dataText.length, 0) / 1024);
  write(
    `\n  ${styleText("bold", "Posthaste demo")}  ${payloads.length} webhook bodies that GitHub really sent (${kib} KiB), each published\n`,
  );
  write("  over HTTP, delivered to a receiver, verified with npm standardwebhooks, compared byte by byte.\n\n");
  const progress = createProgress({ total: payloads.length, isTerminal: process.stdout.isTTY, write });
  const openSystem = isDistributed
    ? () => openDistributedDemo((sentence) => write(`  ${styleText("dim", sentence)}\n`))
    : openEmbeddedDemo;
  await using receiver = await openDemoReceiver(systemClock, progress.update);
  const startedAt = systemClock.monotonic();
  const published = await sendAll(openSystem, payloads, receiver);
  const seconds = ((systemClock.monotonic() - startedAt) / 1000).toFixed(1);
  progress.end();
  const { text, isPerfect } = demoTable(published, receiver.arrivals);
  write(
    `\n${text}\n\n  ${styleText("dim", `p50 and p99 from the start of the publish to its arrival; all of it took ${seconds} s.`)}\n`,
  );
  const refused = published.filter(({ id }) => id === null).length;
  if (refused > 0) write(`  ${styleText("red", `${refused} payloads were not accepted.`)}\n`);
  write(
    `  ${isPerfect ? styleText("green", "Every delivery came once, verified and unchanged.") : styleText("red", "Not everything came once, verified and unchanged.")}\n\n`,
  );
  return isPerfect ? 0 : 1;
}

/** Returns after everything came or time ran out, and after the system has stopped: no duplicate can follow. */
async function sendAll(
  openSystem: OpenSystem,
  payloads: readonly Payload[],
  receiver: DemoReceiver,
): Promise<readonly Published[]> {
  await using system = await openSystem();
  receiver.trust(await createEndpoint(system, `${receiver.url}/demo`));
  const published: Published[] = [];
  const rest = payloads.values();
  const publisher = async (_: unknown, index: number): Promise<void> => {
    const url = system.urls[index % system.urls.length] ?? "";
    for (const payload of rest) published.push(await publish(system, url, payload));
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
  const accepted = published.filter(({ id }) => id !== null).length;
  const givingUp = new AbortController();
  const tooLong = systemClock.sleep(GIVE_UP_MS, givingUp.signal).catch(() => undefined);
  await Promise.race([receiver.whenArrived(accepted), tooLong]);
  givingUp.abort();
  return published;
}

async function createEndpoint(system: DemoSystem, url: string): Promise<string> {
  const [gateway = ""] = system.urls;
  const body = JSON.stringify({ url, tenant: system.tenant });
  const response = await post(system, `${gateway}/v1/endpoints`, body);
  const created: unknown = await response.json();
  assert(
    response.status === 201 && typeof created === "object" && created !== null && "secret" in created,
    `the endpoint is created: ${response.status} ${JSON.stringify(created)}`,
  );
  return String(created.secret);
}

async function publish(system: DemoSystem, gateway: string, payload: Payload): Promise<Published> {
  const { type, priority, dataText } = payload;
  const startedAt = systemClock.monotonic();
  const response = await post(
    system,
    `${gateway}/v1/events`,
    `{"type":"${type}","priority":"${priority}","tenant":"${system.tenant}","data":${dataText}}`,
  );
  const answer: unknown = await response.json();
  const isAccepted = response.status === 202 && typeof answer === "object" && answer !== null && "id" in answer;
  return { priority, dataText, id: isAccepted ? String(answer.id) : null, startedAt };
}

function post({ operatorKey }: DemoSystem, url: string, body: string): Promise<Response> {
  const headers = { authorization: `Bearer ${operatorKey}`, "content-type": "application/json" };
  return fetch(url, { method: "POST", headers, body });
}

/**
 * `posthaste demo`: real webhook bodies through the real thing on a temporary folder: HTTP API, SQLite file, processor,
 * HTTP receiver. Ends with a table and says by the exit code whether every delivery came once, verified and unchanged.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Payload } from "./demo-payloads.ts";
import { readPayloads } from "./demo-payloads.ts";
import { createProgress } from "./demo-progress.ts";
import { openDemoReceiver } from "./demo-receiver.ts";
import type { DemoReceiver } from "./demo-receiver.ts";
import type { Published } from "./demo-table.ts";
import { demoTable } from "./demo-table.ts";
import type { Posthaste } from "./embedded.ts";
import { openPosthaste } from "./embedded.ts";
import { terminalPalette } from "./palette.ts";

/** Publishers at work at once. */
const PUBLISHERS = 16;
/** After the last publish, the longest wait for what has not come. */
const PATIENCE_MS = 30_000;

export async function runDemo(): Promise<number> {
  const { bold, dim, green, red } = terminalPalette();
  const write = (text: string): void => void process.stdout.write(text);
  const folder = mkdtempSync(join(tmpdir(), "posthaste-demo-"));
  try {
    const payloads = readPayloads();
    const kib = Math.round(payloads.reduce((sum, { dataText }) => sum + dataText.length, 0) / 1024);
    write(
      `\n  ${bold("Posthaste demo")}  ${payloads.length} webhook bodies that GitHub really sent (${kib} KiB), each published\n`,
    );
    write("  over HTTP, delivered to a receiver, verified with npm standardwebhooks, compared byte by byte.\n\n");
    const progress = createProgress({ total: payloads.length, isTerminal: process.stdout.isTTY, write });
    const startedAt = systemClock.monotonic();
    await using receiver = openDemoReceiver(systemClock, progress.update);
    const published = await sendAll(folder, payloads, receiver);
    const seconds = ((systemClock.monotonic() - startedAt) / 1000).toFixed(1);
    progress.end();
    const { text, isPerfect } = demoTable(published, receiver.arrivals);
    write(
      `\n${text}\n\n  ${dim(`p50 and p99 from the start of the publish to its arrival; all of it took ${seconds} s.`)}\n`,
    );
    const refused = published.filter(({ id }) => id === null).length;
    if (refused > 0) write(`  ${red(`${refused} payloads were not accepted.`)}\n`);
    write(
      `  ${isPerfect ? green("Every delivery came once, verified and unchanged.") : red("Not everything came once, verified and unchanged.")}\n\n`,
    );
    return isPerfect ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns after everything came or patience ran out, and after the system has stopped: no duplicate can follow. */
async function sendAll(
  folder: string,
  payloads: readonly Payload[],
  receiver: DemoReceiver,
): Promise<readonly Published[]> {
  await using posthaste = await openPosthaste({
    // None of the caller's settings: the demo is the same everywhere.
    config: parseConfig({ PORT: "0", POSTHASTE_DATA: folder }),
    isDev: true,
    logLevel: "error",
    writeLog: (text) => void process.stderr.write(text),
    showKeyOnce: () => undefined,
  });
  receiver.trust(await createEndpoint(posthaste, `${receiver.url}/demo`));
  const published: Published[] = [];
  const rest = payloads.values();
  const publisher = async (): Promise<void> => {
    for (const payload of rest) published.push(await publish(posthaste, payload));
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
  const accepted = published.filter(({ id }) => id !== null).length;
  const patience = new AbortController();
  const tooLong = systemClock.sleep(PATIENCE_MS, patience.signal).catch(() => undefined);
  await Promise.race([receiver.whenArrived(accepted), tooLong]);
  patience.abort();
  return published;
}

async function createEndpoint(posthaste: Posthaste, url: string): Promise<string> {
  const response = await post(posthaste, "/v1/endpoints", JSON.stringify({ url }));
  const created: unknown = await response.json();
  assert(
    response.status === 201 && typeof created === "object" && created !== null && "secret" in created,
    `the endpoint is created: ${response.status} ${JSON.stringify(created)}`,
  );
  return String(created.secret);
}

async function publish(posthaste: Posthaste, { type, priority, dataText }: Payload): Promise<Published> {
  const startedAt = systemClock.monotonic();
  const response = await post(
    posthaste,
    "/v1/events",
    `{"type":"${type}","priority":"${priority}","data":${dataText}}`,
  );
  const answer: unknown = await response.json();
  const isAccepted = response.status === 202 && typeof answer === "object" && answer !== null && "id" in answer;
  return { priority, dataText, id: isAccepted ? String(answer.id) : null, startedAt };
}

function post({ url, operatorKey }: Posthaste, path: string, body: string): Promise<Response> {
  const headers = { authorization: `Bearer ${operatorKey}`, "content-type": "application/json" };
  return fetch(`${url}${path}`, { method: "POST", headers, body });
}

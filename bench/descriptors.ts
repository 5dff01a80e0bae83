/**
 * Five thousand healthy origins and two thousand callers that hold connections, against a process of 1,024 descriptors: how many
 * deliveries arrive, in how long, and how many are blamed on their receivers. Not a rate: the full size of
 * `test/e2e/descriptors.test.ts`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runDescriptorScenario } from "../test/support/descriptor-scenario.ts";
import type { Finding } from "./figures.ts";

export async function benchDescriptors(wish: { origins: number; idle: readonly number[] }): Promise<Finding[]> {
  const { origins, idle } = wish;
  const rows: string[][] = [];
  for (const idleConnections of idle) {
    const folder = mkdtempSync(join(tmpdir(), "posthaste-bench-"));
    const startedMs = performance.now();
    const size = { descriptors: 1024, origins, idleConnections, eventsPerTenant: 1, folder };
    const { arrived, expected, blamed, published } = await runDescriptorScenario(size);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    rmSync(folder, { recursive: true });
    const counts = [arrived, expected, blamed.length].map(String);
    rows.push([`${idleConnections} idle callers`, ...counts, published.join(" "), seconds]);
  }
  const title = `descriptors: 1,024 for ${origins} origins; the time is with the making of the endpoints`;
  const header = ["beside", "arrived", "of", "blamed", "publishes answered", "s"];
  return [{ title, header, rows }];
}

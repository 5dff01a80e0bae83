/** A short run of the fuzzer on each set. `npm run fuzz` is the long form; its figures are in docs/testing.md. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createOpenRoutes, createRoutes } from "@posthaste/gateway/app.ts";
import type { RouteDeps } from "@posthaste/gateway/app.ts";
import { prefixEnv, storesEnv } from "../e2e/distributed-harness.ts";
import type { FuzzReport } from "./fuzz-run.ts";
import { runFuzz } from "./fuzz-run.ts";
import { memoryFaults } from "./memory-rule.ts";
import { ROUTE_PLANS } from "./route-plans.ts";

test("every route has a plan, and every plan a route", () => {
  const deps = {} as RouteDeps;
  const keyed = createRoutes(deps);
  const open = createOpenRoutes(deps, keyed, () => false).map(({ path }) => `GET ${path}`);
  const routes = [...keyed.map(({ method, path }) => `${method} ${path}`), ...open];
  assert.deepEqual(Object.keys(ROUTE_PLANS).toSorted(), routes.toSorted());
});

function assertSound(report: FuzzReport, requests: number): void {
  assert.deepEqual(report.faults, []);
  assert.deepEqual(memoryFaults(report.censuses, requests), []);
  assert.ok((report.statuses[202] ?? 0) > requests / 20, JSON.stringify(report.statuses));
}

test("embedded: 3,000 requests, nearly right, get an honest answer each, and all that was taken reads back after a restart", async () => {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-fuzz-"));
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  const report = await runFuzz({ seed: 1, requests: 3000, env: { FUZZ_SET: "embedded", FUZZ_FOLDER: folder } });
  assertSound(report, 3000);
  const unreached = Object.keys(ROUTE_PLANS).filter((route) => report.successes[route] === undefined);
  // The embedded set puts no record aside.
  assert.deepEqual(
    unreached.filter((route) => !route.includes("/v1/quarantine/:id")),
    [],
  );
});

test("a program that keeps objects of each request does not pass", async () => {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-fuzz-"));
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  const env = { FUZZ_SET: "embedded", FUZZ_FOLDER: folder, FUZZ_LEAK: "100" };
  const report = await runFuzz({ seed: 3, requests: 400, env });
  assert.deepEqual(report.faults, []);
  const [fault = ""] = memoryFaults(report.censuses, 400);
  assert.match(fault, /^\d{5} objects more in the last quarter than in the second, 10020 at most$/);
});

test("distributed: 1,000 requests, nearly right, get an honest answer each, and all that was taken reads back after a restart", async () => {
  const prefix = `f${randomBytes(6).toString("hex")}`;
  const env = { ...storesEnv(), ...prefixEnv(prefix), POSTHASTE_MASTER_KEY: Buffer.alloc(32, 11).toString("base64") };
  assertSound(await runFuzz({ seed: 2, requests: 1000, env: { ...env, FUZZ_SET: "distributed" } }), 1000);
});

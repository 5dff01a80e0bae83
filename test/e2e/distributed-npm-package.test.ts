/** The packed gateway and processor on a real Redis and Kafka: their scripts and clients are inside. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startProgram } from "posthaste/program.ts";
import { openReceiver } from "../support/receiver.ts";
import { openDistributedHarness, prefixEnv, storesEnv } from "./distributed-harness.ts";
import { openPackages } from "./installed-package.ts";

test("an event of each priority goes through the packed gateways and the packed processor, and both end in order", async () => {
  using packages = await openPackages();
  const posthaste = join(packages.install("project", packages.program.file), "node_modules/.bin/posthaste");
  const env = {
    POSTHASTE_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"),
    POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8",
    STOP_NOTICE_S: "0",
    // The parent starts another of its kind, from the package, too.
    GATEWAY_PROCESSES: "2",
  };
  await using gateway = await openDistributedHarness({
    gateways: 1,
    processors: 0,
    env,
    gatewayCommand: [posthaste, "gateway"],
  });
  const ofProcessor = { ...env, ...storesEnv(), ...prefixEnv(gateway.prefix), GATEWAY_PROCESSES: "1" };
  const processor = await startProgram("processor", ofProcessor, [posthaste, "processor"]);
  const bodies = new Set<string>();
  const { promise: received, resolve: receive } = Promise.withResolvers<void>();
  await using receiver = await openReceiver((request, response) => {
    bodies.add(String(request.headers["webhook-id"]));
    if (bodies.size === 3) receive();
    response.writeHead(204).end();
  });
  assert.equal((await gateway.ask(0, "/v1/endpoints", { url: receiver.url })).status, 201);
  for (const priority of ["HIGH", "MEDIUM", "LOW"])
    assert.equal((await gateway.ask(0, "/v1/events", { type: "invoice.paid", priority, data: {} })).status, 202);
  await received;
  assert.deepEqual(await processor.end("SIGTERM"), { code: 0, signal: null }, processor.printed());
  for (const program of gateway.gateways)
    assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null }, program.printed());
});

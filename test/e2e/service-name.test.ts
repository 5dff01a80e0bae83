/** Each program names itself on /metrics, or as its operator says by the variables of OpenTelemetry. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openFolder, startServe } from "./posthaste-child.ts";

async function targetInfo(url: string | undefined): Promise<string> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return /^target_info\{(.*)\} 1$/m.exec(text)?.[1] ?? text;
}

test("serve is posthaste, unless OTEL_SERVICE_NAME says otherwise", async () => {
  using folder = openFolder();
  {
    await using serving = await startServe(folder.path);
    assert.match(await targetInfo(serving.url), /^service_name="posthaste",/);
  }
  const settings = { OTEL_SERVICE_NAME: "hooks", OTEL_RESOURCE_ATTRIBUTES: "service.name=other,region=eu%2C1" };
  await using renamed = await startServe(folder.path, settings);
  assert.match(await targetInfo(renamed.url), /service_name="hooks"/);
  assert.match(await targetInfo(renamed.url), /region="eu,1"/);
});

test("OTEL_RESOURCE_ATTRIBUTES that do not read back stop nothing, and are named on stderr", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path, { OTEL_RESOURCE_ATTRIBUTES: "region" });
  assert.match(await targetInfo(serving.url), /^service_name="posthaste",/);
  assert.match(serving.printed.stderr, /^posthaste: OTEL_RESOURCE_ATTRIBUTES has no effect: it must be /m);
});

test("a gateway is posthaste-gateway, a processor posthaste-processor", async () => {
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
  assert.match(await targetInfo(harness.gateways[0]?.url), /^service_name="posthaste-gateway",/);
  assert.match(await targetInfo(harness.processors[0]?.url), /^service_name="posthaste-processor",/);
});

/** Few descriptors: what callers hold takes nothing from deliveries, and receivers are not blamed for what we lack. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runDescriptorScenario, spawnServeWithin } from "../support/descriptor-scenario.ts";
import { openFolder } from "./posthaste-child.ts";

test("300 descriptors, 200 origins, 400 idle connections: all arrives at the first attempt, and publishes are answered", async () => {
  using folder = openFolder();
  const result = await runDescriptorScenario({
    descriptors: 300,
    origins: 200,
    idleConnections: 400,
    eventsPerTenant: 2,
    folder: folder.path,
  });
  assert.deepEqual(result, { arrived: 400, expected: 400, blamed: [], published: [202, 202], exitCode: 0 });
});

test("a limit that is too small for any share ends the start with the remedy", async () => {
  using folder = openFolder();
  await using child = spawnServeWithin(255, folder.path);
  assert.deepEqual(await child.exited, { code: 2, signal: null });
  assert.match(
    child.printed.stderr,
    /^posthaste: this process may open only 255 .*needs 256 .*ulimit -n.*LimitNOFILE=.*\n$/,
  );
});

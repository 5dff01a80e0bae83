/** A Redis that is emptied while a process starts: whatever was asked by then, what is gone is unknown and never absent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createStores } from "@posthaste/shared/drivers/distributed/stores.ts";
import type { RedisCommands } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createSealer, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { withCode } from "../../contract/harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { sampleEndpoint, sampleKey, START_MS, TENANT } from "../../support/samples.ts";
import { openDirectoryHarness, openProcess } from "./directory-processes.ts";
import type { RedisHarness } from "./harness.ts";

const key = sampleKey("key_a");
const isUnavailable = withCode("store-unavailable");

function openStores({ keys }: RedisHarness, commands: RedisCommands) {
  const place = { commands, keys };
  const ignore = (): void => undefined;
  return createStores({
    main: place,
    cache: place,
    clock: createManualClock(START_MS),
    entropy: systemEntropy,
    sealer: createSealer(MASTER_KEY),
    bounds: {},
    isReachable: () => true,
    cacheLine: { isReachable: () => true, isConnected: () => true },
    onFault: ignore,
    onCacheFault: ignore,
    limits: { processes: 1, events: silentTelemetry.limit },
    onCache: ignore,
    onLost: ignore,
    wasUsed: () => Promise.resolve(true),
  });
}

/** How many questions the start asks; before the one with this number all is deleted. */
async function startEmptiedBefore(question: number): Promise<number> {
  await using harness = await openDirectoryHarness();
  await using before = await openProcess(harness);
  {
    await using filled = await openStores(harness, harness.commands);
    await filled.apiKeys.save(key);
    await filled.directory.create(sampleEndpoint("ep_a"));
  }
  let asked = 0;
  const run: RedisCommands["run"] = async (script, keys, args) => {
    asked += 1;
    if (asked === question) await before.flush();
    return await harness.commands.run(script, keys, args);
  };
  await using started = await openStores(harness, { ...harness.commands, run });
  const questions = asked;
  const findKey = async () => await started.apiKeys.find(key.hash);
  if (question > questions) assert.equal((await findKey())?.id, key.id, "nothing was deleted");
  else await assert.rejects(findKey, isUnavailable, `the key, emptied before question ${question}`);
  const readEndpoints = async () => await started.directory.endpoints(TENANT, await started.directory.version(TENANT));
  if (question > questions) assert.equal((await readEndpoints()).endpoints.length, 1);
  else await assert.rejects(readEndpoints, isUnavailable, `the endpoints, emptied before question ${question}`);
  return questions;
}

test("whenever Redis is emptied during a start, keys and endpoints of before are unknown, and never absent", async () => {
  const questions = await startEmptiedBefore(Infinity);
  assert.ok(questions >= 3, `${questions} questions at a start`);
  for (let question = 1; question <= questions; question++) await startEmptiedBefore(question);
});

/** What is accepted where there is no TCP, with nothing but Redis over HTTP, comes to endpoints by processors that know nothing of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { createEdgeAppend } from "@posthaste/shared/drivers/edge/append.ts";
import { openHttpRedis } from "@posthaste/shared/drivers/redis/client/http-commands.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { createRedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Lanes } from "@posthaste/shared/ports/lanes.ts";
import { sampleEnvelope } from "../support/samples.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openRest } from "../support/upstash/open-rest.ts";
import type { RestServer } from "../support/upstash/rest-server.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 60_000;
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;

function openAppend(rest: RestServer, prefix: string): Lanes["append"] {
  const commands = openHttpRedis({ address: rest, name: "REDIS_REST_URL", fetch, clock: systemClock, time: "server" });
  const keys = createKeySpace({ shards: 1, prefix });
  const onLost = (): void => undefined;
  const ledger = createRedisLedger({ commands, keys, clock: systemClock, spill: null, onLost });
  return createEdgeAppend({ commands, keys, clock: systemClock, ledger, onFault: assert.ifError });
}

test("what is accepted over HTTP alone is delivered at each priority, and shown by a gateway of the deployment", async () => {
  await using rest = await openRest();
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
  assert.equal((await harness.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
  const append = openAppend(rest, `${harness.prefix}:`);
  const acceptedAtMs = systemClock.now();
  const envelopes = PRIORITIES.map((priority): Envelope => {
    const id = newId("evt", acceptedAtMs, systemEntropy);
    return sampleEnvelope(id, { tenant: "default", priority, acceptedAtMs });
  });
  await append(envelopes);
  for (const { id, priority } of envelopes) {
    await waitFor({
      fact: `the event of ${priority} to be delivered and shown so`,
      withinMs: WITHIN_MS,
      async holds() {
        const { body } = await harness.ask(0, `/v1/events/${id}`);
        return counter.timesById.has(id) && body["state"] === "delivered";
      },
    });
  }
});

/**
 * A gateway dies when HIGH lies in Kafka, as Redis does not answer, and nobody was told so yet. What others were told stays
 * true, and what nobody was told comes no more often than there are copies of it.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startKafka } from "../support/services/kafka.ts";
import { freePorts } from "../support/services/free-ports.ts";
import { startRedis } from "../support/services/redis.ts";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 120_000;
const EACH = 40;
/** One in Redis, which executes what lay in its socket, and one in Kafka. */
const COPIES = 2;

test("a gateway that is killed between HIGH's way through Kafka and its answer loses nothing, and doubles no copy", async () => {
  using folder = openTemporaryFolder("kafka");
  const [advertised = 0] = await freePorts(1);
  await using kafka = await startKafka({ brokers: 1, advertisedPorts: [advertised], folder: folder.path });
  await using proxy = await openTcpProxy({ port: kafka.nodes[0]?.port ?? 0 }, advertised);
  await using redis = await startRedis();
  await using counter = await openCounter();
  const env = { REDIS_URL: redis.url, KAFKA_BROKERS: `127.0.0.1:${advertised}` };
  await using harness = await openDistributedHarness({ gateways: 2, processors: 1, env });
  assert.equal((await harness.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
  const publish = async (gateway: number, mark: string): Promise<string | null> => {
    const event = { type: "a.b", priority: "HIGH", data: { mark } };
    const answer = await harness.ask(gateway, "/v1/events", event).catch(() => null);
    // Without an answer of either store for a second it is refused, and may come all the same.
    if (answer === null || answer.status === 503) return null;
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    return String(answer.body["id"]);
  };
  const publishAll = (gateway: number, name: string): Promise<readonly (string | null)[]> =>
    Promise.all(Array.from({ length: EACH }, (_, index) => publish(gateway, `${name}-${index}-`)));
  // Once around, so that the producers know the topic: what they ask of it would not be answered.
  redis.freeze();
  const before = [...(await publishAll(0, "before-0")), ...(await publishAll(1, "before-1"))];
  redis.thaw();
  for (const gateway of harness.gateways.keys()) {
    const isBack = async (): Promise<boolean> => (await harness.ask(gateway, "/v1/endpoints")).status === 200;
    await waitFor({ fact: "Redis to answer again", withinMs: WITHIN_MS, holds: isBack });
  }

  redis.freeze();
  await proxy.set({ kind: "unanswered" });
  const [doomed, spared] = [publishAll(0, "doomed"), publishAll(1, "spared")];
  const inKafka = (): string =>
    globSync(join(folder.path, "*/data", `${harness.prefix}.high-*`, "*.log"))
      .map((path) => readFileSync(path, "latin1"))
      .join("");
  const isInKafka = (index: number): boolean => inKafka().includes(`doomed-${index}-`);
  await waitFor({ fact: "HIGH of the gateway to lie in Kafka", withinMs: WITHIN_MS, holds: () => isInKafka(0) });
  process.kill(harness.gateways[0]?.pid ?? 0, "SIGKILL");
  assert.deepEqual(await doomed, Array.from({ length: EACH }).fill(null));
  const written = Array.from({ length: EACH }, (_, index) => index).filter(isInKafka);
  await proxy.set({ kind: "none" });
  const refused = (await spared).filter((id) => id === null).length;
  redis.thaw();

  const accepted = [...before, ...(await spared), ...(await publishAll(1, "after"))].filter((id) => id !== null);
  assert.equal(accepted.length, 4 * EACH - refused);
  const unasked = (): readonly string[] => [...counter.timesById.keys()].filter((id) => !accepted.includes(id));
  await waitFor({
    fact: "all that was accepted, and what the dead gateway had written, to come",
    withinMs: WITHIN_MS,
    holds: () => accepted.every((id) => counter.timesById.has(id)) && unasked().length >= written.length,
  });
  await waitFor({
    fact: "HIGH to be empty",
    withinMs: WITHIN_MS,
    async holds() {
      const answer = await fetch(`${harness.processors[0]?.url ?? ""}/metrics`);
      return /posthaste_queue_depth\{[^}]*queue="high"[^}]*\} 0$/m.test(await answer.text());
    },
  });
  const told = `${written.length} written, ${refused} refused, ${unasked().length} came`;
  assert.ok(written.length > 0 && unasked().length <= EACH + refused, told);
  const tooOften = [...counter.timesById].filter(([, times]) => times > COPIES);
  assert.deepEqual(tooOften, []);
});

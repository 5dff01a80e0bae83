/**
 * Topics that somebody deletes while gateways and processors run: the other lanes go on, the topic is made again, and what lay in
 * it is planned again from the ledger.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import kafkajs from "kafkajs";
import { openReceiver } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness, storesEnv } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 100_000;
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;
const EACH = 10;

for (const deleted of ["medium", "dead-letter"]) {
  test(`the topic ${deleted} is made again, and what is accepted then is delivered`, async () => {
    await using counter = await openCounter();
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
    const { accepted, publish } = await openPublisher(harness, { url: counter.url });
    const allCame = (): Promise<void> => untilAll("all accepted events to come", accepted, counter.timesById);
    // Offsets of the old topic are committed past the beginning of the new one.
    await publish(PRIORITIES);
    await allCame();
    await deleteTopics(harness, [deleted]);
    await publish(PRIORITIES);
    await allCame();
    await untilTold(harness, deleted);
    await publish(PRIORITIES);
    await allCame();
    await untilReady(harness);
    assert.deepEqual(new Set(counter.timesById.values()), new Set([1]), "nothing came twice");
  });
}

test("what lay in a deleted lane is planned again, and each event comes once", async () => {
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
  const { accepted, publish } = await openPublisher(harness, { url: counter.url });
  await publish(["MEDIUM"]);
  await untilAll("the first events to come", accepted, counter.timesById);
  await Promise.all(harness.processors.splice(0).map((program) => program.end("SIGTERM")));
  await publish(["MEDIUM"]);
  await deleteTopics(harness, ["medium"]);
  await untilTold(harness, "medium");
  assert.equal(counter.timesById.size, EACH, "no other has come before a processor runs");
  await harness.add("processor");
  await untilAll("all accepted events to come", accepted, counter.timesById);
  assert.deepEqual(new Set(counter.timesById.values()), new Set([1]), "nothing came twice");
});

test("the retries that lay in a deleted topic are planned again", async () => {
  const came = new Set<string>();
  const state = { isWell: false };
  await using receiver = await openReceiver((request, response) => {
    if (state.isWell) came.add(String(request.headers["webhook-id"]));
    // A status that speaks against no endpoint, so that each retry comes at its own time.
    response.writeHead(state.isWell ? 204 : 404).end();
  });
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
  const retry = { delays_s: [0, 20] };
  const { accepted, publish } = await openPublisher(harness, { url: receiver.url, retry });
  await publish(["HIGH", "MEDIUM"]);
  for (const id of accepted) {
    await waitFor({
      fact: `event ${id} to wait for its second attempt`,
      withinMs: WITHIN_MS,
      holds: async () => /"state":"retrying"/.test(JSON.stringify((await harness.ask(0, `/v1/events/${id}`)).body)),
    });
  }
  await deleteTopics(harness, ["retry.5s"]);
  state.isWell = true;
  await untilTold(harness, "retry.5s");
  await untilAll("all accepted events to come", accepted, came);
});

async function openPublisher(harness: DistributedHarness, endpoint: Readonly<Record<string, unknown>>) {
  const { status, body } = await harness.ask(0, "/v1/endpoints", endpoint);
  assert.equal(status, 201, JSON.stringify(body));
  const accepted = new Set<string>();
  return {
    accepted,
    /** `EACH` of each priority, none of which is refused. */
    async publish(priorities: readonly string[]): Promise<void> {
      for (let at = 0; at < EACH; at++) {
        for (const priority of priorities) {
          const answer = await harness.ask(0, "/v1/events", { type: "a.b", priority, data: {} });
          assert.equal(answer.status, 202, JSON.stringify(answer.body));
          accepted.add(String(answer.body["id"]));
        }
      }
    },
  };
}

async function deleteTopics({ prefix }: DistributedHarness, names: readonly string[]): Promise<void> {
  const brokers = storesEnv().KAFKA_BROKERS.split(",");
  const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: names.map((name) => `${prefix}.${name}`) });
  await admin.disconnect();
}

function untilAll(fact: string, ids: ReadonlySet<string>, came: ReadonlySetLike<string>): Promise<void> {
  return waitFor({ fact, withinMs: WITHIN_MS, holds: () => ids.isSubsetOf(came) });
}

function untilTold({ gateways, processors }: DistributedHarness, topic: string): Promise<void> {
  return waitFor({
    fact: `a process to tell that topic ${topic} was deleted`,
    withinMs: WITHIN_MS,
    holds: () =>
      [...gateways, ...processors].some(({ printed }) => printed().includes(`Kafka topic ${topic} was deleted`)),
  });
}

async function untilReady({ gateways, processors }: DistributedHarness): Promise<void> {
  for (const { url } of [...gateways, ...processors]) {
    await waitFor({
      fact: "every process to be ready",
      withinMs: WITHIN_MS,
      holds: async () => (await fetch(`${url}/readyz`)).status === 200,
    });
  }
}

/** Without Kafka: every priority is accepted, HIGH is delivered as ever, and the rest once Kafka is back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KafkaBroker } from "../support/services/kafka.ts";
import { startKafka } from "../support/services/kafka.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter } from "./load-under-kills.ts";

const WITHIN_MS = 120_000;
const PRIORITIES = ["HIGH", "MEDIUM", "LOW"] as const;
const EACH = 40;

interface Outage {
  readonly name: string;
  begin(broker: KafkaBroker): Promise<void>;
  end(broker: KafkaBroker): Promise<void>;
}

const OUTAGES: readonly Outage[] = [
  { name: "killed", begin: (broker) => broker.kill(), end: (broker) => broker.restart() },
  {
    name: "frozen",
    begin: (broker) => Promise.resolve(broker.freeze()),
    end: (broker) => Promise.resolve(broker.thaw()),
  },
];

for (const { name, begin, end } of OUTAGES) {
  test(`while Kafka is ${name} no event is refused, HIGH comes, and the rest when Kafka is back`, async () => {
    await using kafka = await startKafka({ brokers: 1 });
    await using counter = await openCounter();
    const env = { KAFKA_BROKERS: kafka.brokers };
    await using harness = await openDistributedHarness({ gateways: 1, processors: 2, env });
    assert.equal((await harness.ask(0, "/v1/endpoints", { url: counter.url })).status, 201);
    const accepted = new Map<string, string>();
    const publish = async (priority: string): Promise<void> => {
      const { status, body } = await harness.ask(0, "/v1/events", { type: "a.b", priority, data: {} });
      assert.equal(status, 202, JSON.stringify(body));
      accepted.set(String(body["id"]), priority);
    };
    const publishSome = async (): Promise<void> => {
      for (let index = 0; index < EACH; index++) await Promise.all(PRIORITIES.map(publish));
    };
    const arrived = (priorities: readonly string[]): Promise<void> =>
      waitFor({
        fact: `all accepted events of ${priorities.join(", ")} to come`,
        withinMs: WITHIN_MS,
        holds: () => [...accepted].every(([id, each]) => !priorities.includes(each) || counter.timesById.has(id)),
      });
    await publishSome();
    await arrived(PRIORITIES);
    const [broker] = kafka.nodes;
    assert.ok(broker !== undefined);
    await begin(broker);
    await publishSome();
    await arrived(["HIGH"]);
    const waiting = [...accepted.keys()].filter((id) => !counter.timesById.has(id));
    assert.ok(waiting.length >= EACH, `${waiting.length} events wait`);
    await waitFor({
      fact: "the gateway to tell what takes over",
      withinMs: WITHIN_MS,
      async holds() {
        const answer = await fetch(`${harness.gateways[0]?.url ?? ""}/readyz`);
        return answer.status === 200 && /"degraded":\["Kafka[^"]* are kept in Redis/.test(await answer.text());
      },
    });
    await end(broker);
    await publishSome();
    await arrived(PRIORITIES);
    assert.equal(accepted.size, 3 * PRIORITIES.length * EACH);
    await waitFor({
      fact: "the spool to be empty",
      withinMs: WITHIN_MS,
      async holds() {
        const answer = await fetch(`${harness.processors[0]?.url ?? ""}/metrics`);
        return /posthaste_queue_depth\{[^}]*queue="spool"[^}]*\} 0$/m.test(await answer.text());
      },
    });
  });
}

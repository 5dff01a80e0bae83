/** The contract of `partition-log` over a real Kafka, which `KAFKA_BROKERS` names, and what only Kafka can get wrong. */
import assert from "node:assert/strict";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { test } from "node:test";

import type { ISocketFactory } from "kafkajs";

import type { KafkaOptions } from "@posthaste/shared/drivers/kafka/partition-log.ts";
import { openKafkaPartitionLog } from "@posthaste/shared/drivers/kafka/partition-log.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type {
  GroupListener,
  RecordProducer,
  NewRecord,
  PartitionLog,
  ReaderPace,
  TopicSpec,
} from "@posthaste/shared/ports/partition-log.ts";

import { withCode } from "../../contract/harness.ts";
import type { LogHarness } from "../memory/partition-log-harness.ts";
import { partitionLogContract } from "../../contract/partition-log.contract.ts";

const FACT_MS = 30_000;
const LOOK_MS = 5;
const NEVER = new AbortController().signal;

partitionLogContract("kafka", openKafkaHarness);

const SPEC: TopicSpec = {
  topic: "checked",
  partitions: 1,
  replication: 1,
  minInSync: 1,
  retentionMs: 86_400_000,
  timestamps: "log",
};

test("kafka: an address where nobody listens fails to open within 10 s and names KAFKA_BROKERS", async () => {
  const startedAtMs = systemClock.monotonic();
  await assert.rejects(
    openKafkaPartitionLog({ ...optionsOf("x"), brokers: ["127.0.0.1:1"] }),
    /127\.0\.0\.1:1 \(KAFKA_BROKERS\)/,
  );
  assert.ok(systemClock.monotonic() - startedAtMs < 11_000);
});

test("kafka: a server that accepts and says nothing fails to open and names KAFKA_BROKERS", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await new Promise((resolve) => silent.once("listening", resolve));
  const { port } = silent.address() as AddressInfo;
  const startedAtMs = systemClock.monotonic();
  await assert.rejects(openKafkaPartitionLog({ ...optionsOf("x"), brokers: [`127.0.0.1:${port}`] }), /KAFKA_BROKERS/);
  assert.ok(systemClock.monotonic() - startedAtMs < 20_000);
  silent.close();
});

test("kafka: credentials that the broker does not take fail to open and name KAFKA_SASL_*", async () => {
  const sasl = { mechanism: "plain", username: "nobody", password: "secret-of-nobody" } as const;
  await assert.rejects(openKafkaPartitionLog({ ...optionsOf("x"), sasl }), (error: Error) => {
    assert.match(error.message, /KAFKA_SASL_/);
    assert.doesNotMatch(error.message, /secret-of-nobody/);
    return true;
  });
});

test("kafka: ensureTopics() names the retention that is too short, and how to mend it", async () => {
  await using log = await openKafkaPartitionLog(optionsOf(randomPrefix()));
  await log.ensureTopics([SPEC]);
  await log.ensureTopics([{ ...SPEC, retentionMs: 3_600_000 }]);
  await assert.rejects(log.ensureTopics([{ ...SPEC, retentionMs: 172_800_000 }]), (error: Error) => {
    assert.match(error.message, /checked has retention\.ms 86400000, 172800000 is wanted/);
    assert.match(error.message, /kafka-configs --alter .* retention\.ms=172800000/);
    return true;
  });
});

test("kafka: ensureTopics() names a replication that the cluster cannot give", async () => {
  await using log = await openKafkaPartitionLog(optionsOf(randomPrefix()));
  await assert.rejects(log.ensureTopics([{ ...SPEC, replication: 99, minInSync: 2 }]), /replication of 99/);
});

test("kafka: two that create the same topics at once both succeed", async () => {
  const prefix = randomPrefix();
  await using one = await openKafkaPartitionLog(optionsOf(prefix));
  await using other = await openKafkaPartitionLog(optionsOf(prefix));
  await Promise.all([one.ensureTopics([SPEC]), other.ensureTopics([SPEC])]);
});

test("kafka: a reader whose partitions are all paused leaves within 2 s", async () => {
  await using log = await openKafkaPartitionLog(optionsOf(randomPrefix()));
  await log.ensureTopics([SPEC]);
  const reader = await log.openReader("g", ["checked"], {
    assigned: (partition) => partition.pause(),
    lost: () => undefined,
    records: () => undefined,
  });
  const startedAtMs = systemClock.monotonic();
  await reader[Symbol.asyncDispose]();
  assert.ok(systemClock.monotonic() - startedAtMs < 2000);
});

test("kafka: a reader in bulk asks for many records together, and gives one that stays alone", async () => {
  await using log = await openKafkaPartitionLog(optionsOf(randomPrefix()));
  await log.ensureTopics([SPEC]);
  await using readers = new AsyncDisposableStack();
  const answersTo = async (pace: ReaderPace): Promise<readonly (readonly string[])[]> => {
    const answers: string[][] = [];
    const listener: GroupListener = {
      assigned: () => undefined,
      lost: () => undefined,
      records: (_, records) => void answers.push(records.map(({ value }) => Buffer.from(value ?? []).toString())),
    };
    readers.use(await log.openReader(`g-${pace}`, ["checked"], listener, pace));
    return answers;
  };
  const [bulk, atOnce] = await Promise.all([answersTo("in-bulk"), answersTo("at-once")]);
  await using producer = log.openProducer("p");
  const texts = Array.from({ length: 40 }, (_, index) => `text${index}`);
  for (const text of texts) await producer.append([recordOf(text)]);
  await until("all records", () => [bulk, atOnce].every((answers) => answers.flat().length >= texts.length));
  assert.deepEqual(bulk.flat(), texts);
  assert.ok(2 * bulk.length <= atOnce.length, `${bulk.length} of ${atOnce.length} answers`);
  await producer.append([recordOf("alone")]);
  await until("the record that stays alone", () => bulk.at(-1)?.at(-1) === "alone");
});

for (const fault of ["refuses", "is silent"] as const) {
  test(`kafka: while the network ${fault} appends reject in time, afterwards all goes on by itself`, async () => {
    const network = createNetwork();
    const faults: unknown[] = [];
    const options = { ...optionsOf(randomPrefix()), socketFactory: network.socketFactory };
    await using log = await openKafkaPartitionLog({ ...options, onFault: (error) => void faults.push(error) });
    await log.ensureTopics([SPEC]);
    const texts = new Set<string>();
    await using reader = await log.openReader("g", ["checked"], {
      assigned: () => undefined,
      lost: () => undefined,
      records: (_partition, records) => {
        for (const { value } of records) texts.add(Buffer.from(value ?? []).toString());
      },
    });
    await using producer = log.openProducer("p");
    await producer.append([recordOf("before")]);
    await until("the first record", () => texts.has("before"));
    network.fail(fault);
    const startedAtMs = systemClock.monotonic();
    await assert.rejects(producer.append([recordOf("meanwhile")]), withCode("store-unavailable"));
    assert.ok(systemClock.monotonic() - startedAtMs < 4000);
    assert.match((await log.health()) ?? "", /does not answer/);
    network.heal();
    await appendUntilDone(producer, "after");
    await until("the last record", () => texts.has("after"));
    await until("health", () => reader.health() === null);
    assert.equal(await log.health(), null);
  });
}

/** An outage leaves requests behind that end by their own time; each rejection is allowed, an end must come. */
async function appendUntilDone(producer: RecordProducer, text: string): Promise<void> {
  const untilMs = systemClock.monotonic() + FACT_MS;
  for (;;) {
    try {
      return await producer.append([recordOf(text)]);
    } catch (error) {
      if (systemClock.monotonic() > untilMs) throw error;
    }
  }
}

/** Sockets to the real broker that can be cut, or kept open without a byte going through. */
function createNetwork() {
  const sockets = new Set<Socket>();
  let fault: "refuses" | "is silent" | null = null;
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = fault === null ? connect({ host, port }) : connect({ host: "127.0.0.1", port: 1 });
    socket.once("connect", onConnect);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    return socket;
  };
  return {
    socketFactory,
    fail(kind: "refuses" | "is silent"): void {
      fault = kind;
      for (const socket of sockets) {
        if (kind === "refuses") socket.destroy(new Error("cut by the test"));
        else socket.write = () => true;
      }
    },
    heal(): void {
      fault = null;
    },
  };
}

function recordOf(text: string): NewRecord {
  return { topic: "checked", partition: 0, key: null, value: Buffer.from(text), headers: {}, timestampMs: 0 };
}

async function until(fact: string, isTrue: () => boolean): Promise<void> {
  const untilMs = systemClock.monotonic() + FACT_MS;
  while (!isTrue()) {
    assert.ok(systemClock.monotonic() < untilMs, `within ${FACT_MS} ms: ${fact}`);
    await systemClock.sleep(LOOK_MS, NEVER);
  }
}

async function openKafkaHarness(): Promise<LogHarness> {
  const options = optionsOf(randomPrefix());
  let log = await openKafkaPartitionLog(options);
  return {
    get log(): PartitionLog {
      return log;
    },
    async reopen() {
      await log[Symbol.asyncDispose]();
      log = await openKafkaPartitionLog(options);
    },
    now: () => systemClock.now(),
    until,
    finish: (work) => work,
    [Symbol.asyncDispose]: () => Promise.resolve(log[Symbol.asyncDispose]()),
  };
}

function optionsOf(prefix: string): KafkaOptions {
  const brokers = process.env["KAFKA_BROKERS"];
  assert.ok(brokers !== undefined, "KAFKA_BROKERS names the Kafka to test against");
  return {
    brokers: brokers.split(","),
    clock: systemClock,
    entropy: systemEntropy,
    clientId: "posthaste-test",
    prefix,
    appendMs: 3000,
    onFault: () => undefined,
  };
}

function randomPrefix(): string {
  return `t${Buffer.from(systemEntropy.bytes(6)).toString("hex")}.`;
}

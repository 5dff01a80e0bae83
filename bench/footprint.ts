/**
 * What an event and an endpoint take where they are kept: bytes of the database's file, of Redis's memory, of Kafka's topics. Events of 1 KB with one
 * delivery each, all delivered, by priority; the figures are what is there more than before, divided by how many came.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { Kafka, logLevel } from "kafkajs";
import { Priority } from "@posthaste/shared/domain/event.ts";
import type { BenchSet, BenchSystem } from "./bench-system.ts";
import { openBenchSystem } from "./bench-system.ts";
import type { Finding } from "./figures.ts";
import { EVENT_BODY, EVENT_DATA } from "./load.ts";
import { publishInBatches } from "./publish.ts";
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";
import { within } from "./in-bounds.ts";

const ENDPOINTS = 1000;
const ENDPOINTS_PER_TENANT = 10;
/** After the last arrival, until what is written late is written. */
const SETTLE_MS = 5000;
const READ_S_MAX = 120;

/** Bytes by place. */
type Footprint = Readonly<Record<string, number>>;

export async function benchFootprint({ set, events }: { set: BenchSet; events: number }): Promise<Finding[]> {
  await using system = await openBenchSystem(set, {});
  await using sink = await startSubject("sink.ts");
  const look = set === "embedded" ? () => ofFile(system) : () => ofStores(system);
  const url = `http://127.0.0.1:${String(sink.hello["port"])}/0`;
  await system.post("/v1/endpoints", { url, tenant: "loaded", event_types: ["load"] });
  await publish(system, sink, Math.ceil(events / 10), "MEDIUM");
  let before = await look();
  const rows: (readonly string[])[] = [];
  const measure = async (name: string, count: number, work: () => Promise<void>): Promise<void> => {
    await work();
    const after = await look();
    const each = Object.entries(after).map(([place, bytes]) => Math.round((bytes - (before[place] ?? 0)) / count));
    rows.push([name, String(count), ...each.map(String)]);
    before = after;
  };
  for (const priority of set === "embedded" ? (["MEDIUM"] as const) : Priority.options) {
    await measure(`an event, ${priority}`, events, () => publish(system, sink, events, priority));
  }
  await measure("an endpoint", ENDPOINTS, () => addEndpoints(system, url));
  const title = `footprint, ${set}: bytes each, of events of ${Buffer.byteLength(EVENT_BODY)} bytes with one delivery`;
  return [{ title, header: ["what", "count", ...Object.keys(before)], rows }];
}

async function publish(system: BenchSystem, sink: Subject, count: number, priority: Priority): Promise<void> {
  await sink.ask("reset");
  const arrived = sink.ask(`wait ${count}`);
  await publishInBatches(system, count, () => ({ type: "load", tenant: "loaded", priority, data: EVENT_DATA }));
  await arrived;
  await Bun.sleep(SETTLE_MS);
}

async function addEndpoints(system: BenchSystem, url: string): Promise<void> {
  for (let index = 0; index < ENDPOINTS; index += 1) {
    const tenant = `t${Math.floor(index / ENDPOINTS_PER_TENANT)}`;
    await system.post("/v1/endpoints", { url, tenant, event_types: ["never"] });
  }
  await Bun.sleep(SETTLE_MS);
}

/** When it ends, what is in the write-ahead log is moved into the file. */
async function ofFile(system: BenchSystem): Promise<Footprint> {
  await system.stop("SIGTERM");
  const { size } = statSync(join(system.settings["POSTHASTE_DATA"] ?? "", "posthaste.db"));
  await system.start();
  return { "database file": size };
}

async function ofStores({ settings }: BenchSystem): Promise<Footprint> {
  const redis = new Redis(settings["REDIS_URL"] ?? "");
  try {
    const info = await redis.info("memory");
    const used = Number(/used_memory:(\d+)/.exec(info)?.[1]);
    return { "Redis memory": used, "Kafka topics, one replica": await ofTopics(settings) };
  } finally {
    redis.disconnect();
  }
}

/** Of all records: key, value and headers as they lie there, and what a record of a batch takes besides. */
async function ofTopics(settings: BenchSystem["settings"]): Promise<number> {
  const brokers = (settings["KAFKA_BROKERS"] ?? "").split(",");
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  const consumer = kafka.consumer({ groupId: `footprint-${crypto.randomUUID()}` });
  await Promise.all([admin.connect(), consumer.connect()]);
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(settings["KAFKA_PREFIX"] ?? ""));
    const ends = await Promise.all(topics.map((topic) => admin.fetchTopicOffsets(topic)));
    let left = ends.flat().reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
    if (left === 0) return 0;
    let bytes = 0;
    const read = Promise.withResolvers<void>();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({
      async eachMessage({ message: { key, value, headers } }) {
        const fields = Object.entries(headers ?? {}).map(
          ([name, text]) => name.length + Buffer.byteLength(String(text)),
        );
        bytes += (key?.length ?? 0) + (value?.length ?? 0) + fields.reduce((sum, size) => sum + size, RECORD_BYTES);
        left -= 1;
        if (left === 0) read.resolve();
      },
    });
    await within(READ_S_MAX * 1000, "Reading Kafka's topics", read.promise);
    return bytes;
  } finally {
    await Promise.all([admin.disconnect(), consumer.disconnect()]);
  }
}

/** Lengths, offset and time of a record in its batch (kafka.apache.org/documentation/#record), about. */
const RECORD_BYTES = 12;

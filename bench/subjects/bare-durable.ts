/**
 * The ceilings of durable accept: the bare Hono of `bare-hono.ts`, which keeps each event before it answers by the least that STORE can be
 * asked for: `lpush` to a Redis list, `produce` to a Kafka topic, `commit` of SQLite with an fsync. What comes together shares a
 * pipeline, a request, a transaction; nothing else is stored and nothing is looked up.
 */
import { mkdtempSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { Kafka, logLevel } from "kafkajs";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { createBatcher } from "@posthaste/shared/lib/batcher.ts";
import { bareHono } from "./bare-hono-app.ts";
import { serveBare } from "./bare-server.ts";
import { tell } from "./talk.ts";

const NAME = `bench-bare-${crypto.randomUUID()}`;

type Keep = (text: string) => Promise<unknown>;

const stores: Readonly<Record<string, () => Keep | Promise<Keep>>> = {
  lpush() {
    const redis = new Redis(process.env["REDIS_URL"] ?? "", { enableAutoPipelining: true });
    return (text) => redis.lpush(NAME, text);
  },
  async produce() {
    const brokers = (process.env["KAFKA_BROKERS"] ?? "").split(",");
    const kafka = new Kafka({ brokers, logLevel: logLevel.ERROR });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: NAME, numPartitions: 6 }], waitForLeaders: true });
    await admin.disconnect();
    const producer = kafka.producer();
    await producer.connect();
    return together(async (texts) => {
      await producer.send({ topic: NAME, acks: -1, messages: texts.map((value) => ({ value })) });
    });
  },
  commit() {
    const database = new DatabaseSync(join(mkdtempSync(join(tmpdir(), "posthaste-bench-")), "bare.db"));
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE events (body TEXT NOT NULL)");
    const insert = database.prepare("INSERT INTO events VALUES (?)");
    return together((texts) => {
      database.exec("BEGIN");
      for (const text of texts) insert.run(text);
      database.exec("COMMIT");
    });
  },
};

/** What comes while one batch is under way waits for its end. */
function together(keepAll: (texts: readonly string[]) => void | Promise<void>): Keep {
  const batcher = createBatcher<string, null>({
    clock: systemClock,
    async flush(texts) {
      await keepAll(texts);
      return texts.map(() => ({ kind: "done", value: null }));
    },
    itemsMax: 2048,
    bytesMax: 8 * 1024 * 1024,
    waitingMax: 100_000,
    overflow: () => new Error("too many wait"),
  });
  return (text) => batcher.add(text, text.length);
}

const open = stores[process.env["STORE"] ?? ""];
if (open === undefined) throw new Error(`STORE is one of ${Object.keys(stores).join(", ")}`);
const keep = await open();
const { fetch } = bareHono(keep);
tell({ port: serveBare(fetch) });

/**
 * Writes a history as the drivers of a set write it, without the pipeline before them: `fill COUNT SHAPE` with the endpoints of
 * ENDPOINTS, `tenant/id` each. SHAPE is `spread`, over the last twenty hours, or `burst`, all in one millisecond. Of a hundred events
 * 96 are delivered, 2 to be retried, 1 dead with its dead letter, 1 in its lane still; ten, the oldest, are of a rare type. SET names the set: of
 * the embedded one nothing else may have DATA open. Answers with what is kept.
 */
import { Redis } from "ioredis";
import { deliveryId } from "@posthaste/shared/domain/delivery.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { envelopeBody } from "@posthaste/shared/domain/envelope.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeliveryRecord, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { EVENT_DATA } from "../load.ts";
import { openBenchStores } from "./open-distributed.ts";
import { ambient } from "./open-embedded.ts";
import { answerLines, tell } from "./talk.ts";

/** Where a history is written, all of it durable when `write` resolves. */
interface Histories extends AsyncDisposable {
  /** Parts that are written beside each other. */
  readonly atOnce: number;
  write(part: HistoryPart): Promise<void>;
  kept(): Promise<number>;
}

interface HistoryPart {
  readonly envelopes: readonly Envelope[];
  /** Of these events a processor has not taken. */
  readonly waiting: ReadonlySet<string>;
  readonly entries: readonly LedgerEntry[];
  readonly letters: readonly DeadLetter[];
  readonly stats: readonly StatEntry[];
}

const PART = 500;
/** Of one part, and between two tries. */
const TRIES_MAX = 20;
const PAUSE_MS = 500;
const SPREAD_MS = 20 * 3600 * 1000;
/** Nothing is newer: what is published later comes before it in each list. */
const AGE_MS = 60 * 1000;
const TYPES = ["order.paid", "order.shipped", "invoice.sent", "user.created", "user.changed"];
const RARE_TYPE = "audit.sealed";
const RARE = 10;
const DATA_TEXT = JSON.stringify(EVENT_DATA);
const REFUSED: AttemptResult = { ...answered(503), bodyExcerpt: "try again later" };

const endpoints = (process.env["ENDPOINTS"] ?? "").split(",").map((name) => {
  const [tenant = "", id = ""] = name.split("/");
  return { tenant, id };
});

tell({});
await answerLines(async (line) => {
  const [, count, shape] = line.split(" ");
  await using histories = await (process.env["SET"] === "embedded" ? openFile() : openRedis());
  const total = Number(count);
  const newestMs = Math.floor(ambient.clock.now()) - AGE_MS;
  const acceptedAtMs = (index: number): number =>
    shape === "burst" ? newestMs : newestMs - Math.floor(((total - index) * SPREAD_MS) / total);
  let from = 0;
  const writeOn = async (): Promise<void> => {
    while (from < total) {
      const end = Math.min(total, from + PART);
      const part = partOf(from, end, acceptedAtMs);
      from = end;
      await histories.write(part);
    }
  };
  await Promise.all(Array.from({ length: histories.atOnce }, writeOn));
  return { kept: await histories.kept() };
});

async function openFile(): Promise<Histories> {
  const { masterKey } = parseConfig(process.env);
  if (masterKey === null) throw new Error("POSTHASTE_MASTER_KEY is needed");
  const database = { folder: process.env["POSTHASTE_DATA"] ?? "" };
  const drivers = openEmbedded({ ...ambient, sealer: createSealer(masterKey), database });
  const { lanes, ledger, deadLetters, stats } = drivers;
  const running = new AbortController().signal;
  let kept = 0;
  return {
    atOnce: 1,
    async write({ envelopes, waiting, entries, letters, stats: counts }) {
      await lanes.append(envelopes);
      const items = await lanes.take("medium", PART, running);
      await lanes.ack(items.filter(({ envelope }) => !waiting.has(envelope.id)));
      ledger.record(entries);
      await deadLetters.append(letters);
      stats.add(counts);
      await drivers.flush();
      kept += envelopes.length;
    },
    kept: () => Promise.resolve(kept),
    [Symbol.asyncDispose]: () => drivers[Symbol.asyncDispose](),
  };
}

async function openRedis(): Promise<Histories> {
  let lost = 0;
  const stores = await openBenchStores((count) => void (lost += count));
  const ledger = stores.openLedger(() => Promise.reject(new Error("a history has no other place")));
  const writeOnce = async ({ envelopes, entries, letters }: HistoryPart): Promise<boolean> => {
    const before = lost;
    await ledger.remember(envelopes);
    ledger.record(entries);
    await stores.deadLetterIndex.put(letters.map((deadLetter) => ({ deadLetter, revision: "1", place: null })));
    await ledger.flush();
    return lost === before;
  };
  return {
    atOnce: 4,
    async write(part) {
      // On busy cores Redis may say nothing for a moment. What is written twice is there once.
      for (let tries = 0; !(await writeOnce(part).catch(() => false)); tries += 1) {
        if (tries >= TRIES_MAX) throw new Error("Redis does not take a part of the history");
        await Bun.sleep(PAUSE_MS);
      }
      stores.stats.add(part.stats);
      await stores.flush();
    },
    kept: countKept,
    async [Symbol.asyncDispose]() {
      await ledger.flush();
      await stores[Symbol.asyncDispose]();
    },
  };
}

/** In the lists of all tenants: past its bytes a shard lets its oldest events go. */
async function countKept(): Promise<number> {
  const redis = new Redis(process.env["REDIS_URL"] ?? "");
  try {
    let [cursor, sum] = ["0", 0];
    do {
      const [next, lists] = await redis.scan(
        cursor,
        "MATCH",
        `${process.env["REDIS_PREFIX"] ?? ""}*ledger:events`,
        "COUNT",
        10_000,
      );
      for (const list of lists) sum += await redis.zcard(list);
      cursor = next;
    } while (cursor !== "0");
    return sum;
  } finally {
    redis.disconnect();
  }
}

function partOf(from: number, end: number, acceptedAtMs: (index: number) => number): HistoryPart {
  const envelopes: Envelope[] = [];
  const waiting = new Set<string>();
  const entries: LedgerEntry[] = [];
  const letters: DeadLetter[] = [];
  const stats: StatEntry[] = [];
  for (let index = from; index < end; index += 1) {
    // The first has a tenth of all, so that one tenant has much.
    const endpoint = endpoints[index % 10 === 0 ? 0 : index % endpoints.length] ?? endpoints[0];
    if (endpoint === undefined) throw new Error("ENDPOINTS is needed");
    const envelope = envelopeOf(index, endpoint.tenant, acceptedAtMs(index));
    const { tenant, id: eventId, type } = envelope;
    envelopes.push(envelope);
    stats.push({ kind: "accepted", tenant, type, lane: "medium", atMs: envelope.acceptedAtMs });
    const place = Math.floor(index / 7) % 100;
    if (place === 99) {
      waiting.add(eventId);
      continue;
    }
    const record = recordOf(envelope, endpoint.id, place === 98 ? "dead" : place >= 96 ? "retrying" : "delivered");
    entries.push({ kind: "delivery", delivery: record });
    if (record.state === "dead") {
      const id = deliveryId(record, envelope.acceptedAtMs, ambient.hasher);
      const { generation, reason, attempt, atMs } = record;
      const letter = {
        id,
        tenant,
        eventId,
        endpointId: endpoint.id,
        generation,
        state: "dead" as const,
        atMs,
        envelope,
      };
      letters.push({ ...letter, reason: reason ?? "", attempts: attempt });
    }
    const outcome = record.state === "delivered" ? "delivered" : record.state === "dead" ? "dead" : "retry";
    const seen = { inFlight: 0, inFlightMax: 16, breaker: "closed" as const };
    const took = { durationMs: 12, sinceDueMs: [15], seen, atMs: record.atMs };
    stats.push({ kind: "attempt", tenant, endpointId: endpoint.id, lane: "medium", outcome, ...took });
  }
  return { envelopes, waiting, entries, letters, stats };
}

function envelopeOf(index: number, tenant: string, acceptedAtMs: number): Envelope {
  const type = index < RARE * 10 && index % 10 === 0 ? RARE_TYPE : (TYPES[index % TYPES.length] ?? "");
  return {
    id: newId("evt", acceptedAtMs, ambient.entropy),
    tenant,
    type,
    priority: "MEDIUM",
    acceptedAtMs,
    deliverAtMs: null,
    traceparent: null,
    tracestate: null,
    directoryVersion: 1,
    body: envelopeBody({ type, timestampMs: acceptedAtMs, dataText: DATA_TEXT }),
  };
}

function recordOf(
  { tenant, id: eventId, type: eventType, acceptedAtMs }: Envelope,
  endpointId: string,
  state: "delivered" | "retrying" | "dead",
): DeliveryRecord {
  const atMs = acceptedAtMs + 20;
  return {
    tenant,
    eventId,
    endpointId,
    generation: 0,
    eventType,
    atMs,
    state,
    attempt: 1,
    result: state === "delivered" ? answered(200) : REFUSED,
    groupId: null,
    nextAttemptAtMs: state === "retrying" ? ambient.clock.now() + SPREAD_MS : null,
    reason: state === "delivered" ? null : "answered 503",
    leg: {
      sinceMs: acceptedAtMs,
      takenAtMs: acceptedAtMs + 2,
      limiterMs: 1,
      wait: state === "retrying" ? "retry" : null,
    },
  };
}

function answered(status: number): Extract<AttemptResult, { kind: "answered" }> {
  return { kind: "answered", status, retryAfter: null, bodyExcerpt: "", isBodyCut: false, durationMs: 12 };
}

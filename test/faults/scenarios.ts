/** All scenarios. Those of a layout run in this order, on the same stores. */
import {
  brokersFrozen,
  brokersKilled,
  brokersRestarted,
  diskFull,
  kafkaCut,
  kafkaFlapping,
  kafkaNetwork,
  leadersMoved,
  oneBrokerNetwork,
  topicDeleted,
} from "./kafka-faults.ts";
import { frozen, killed, receiverIs, rolling, started, stopped } from "./program-faults.ts";
import {
  cacheFlushed,
  redisBlocked,
  redisCut,
  redisEmptied,
  redisFailedOver,
  redisFlapping,
  redisFlushed,
  redisFrozen,
  redisFull,
  redisKilled,
  redisNetwork,
  redisRefusesWrites,
  redisRestarted,
} from "./redis-faults.ts";
import type { Fault, Scenario, Step } from "./scenario.ts";
import { ALL } from "./scenario.ts";
import type { Layout } from "./stores.ts";

const FAULT_MS = 8000;
const MINUTE_MS = 60_000;
/** Of two faults that overlap. */
const LATER_MS = 2000;
/** A moment, for what comes back at once or is over when it has begun. */
const SOON_MS = 1000;

const nothing: Fault = () => Promise.resolve(() => Promise.resolve());
/** One fault of several that are begun and ended at the same time. */
const allOf =
  (...faults: readonly Fault[]): Fault =>
  async (stage) => {
    const undoes = await Promise.all(faults.map((fault) => fault(stage)));
    return async () => void (await Promise.all(undoes.map((undo) => undo())));
  };

const down = { kind: "down" } as const;
const silent = { kind: "silent" } as const;
const slow = (ms: number) => ({ kind: "slow", ms }) as const;

/** `FAULT_MS` of one fault. */
const single = (fault: Fault): readonly Step[] => [{ fault, forMs: FAULT_MS }];
/** It happens, and is followed. */
const once = (fault: Fault): readonly Step[] => [{ fault, forMs: SOON_MS }];
/** In the midst of the first one. */
const during = (outer: Fault, ...inner: readonly Fault[]): readonly Step[] => [
  { fault: outer, forMs: FAULT_MS },
  ...inner.map((fault) => ({ fault, atMs: LATER_MS, forMs: SOON_MS })),
];
/** At the same time. */
const together = (...faults: readonly Fault[]): readonly Step[] => faults.map((fault) => ({ fault, forMs: FAULT_MS }));

const on =
  (layout: Layout) =>
  (name: string, steps: readonly Step[], rest: Partial<Scenario> = {}): Scenario => ({ name, layout, steps, ...rest });

const one = on("one");
const three = on("three");

const programs: readonly Scenario[] = [
  one("nothing-fails", single(nothing)),
  one("gateway-killed", once(killed("gateway", 1))),
  one("gateway-frozen", single(frozen("gateway"))),
  one("gateways-killed", once(killed("gateway"))),
  one("processor-killed", once(killed("processor", 1))),
  one("processor-frozen", [{ fault: frozen("processor"), forMs: 12_000 }]),
  one("processors-killed", single(killed("processor"))),
  one("everything-killed", once(allOf(killed("gateway"), killed("processor")))),
  one("processors-come-later", single(killed("processor")), { ratePerS: 200 }),
  one("rolling-restart", [{ fault: rolling(10_000, 18), forMs: 0 }], { ratePerS: 200, tries: 1 }),
  one("receiver-refuses", single(receiverIs("refuses"))),
  one("receiver-hangs", single(receiverIs("hangs"))),
];

/** The second one has taken over what the first had not acknowledged, and nobody can be asked what was delivered of it. */
const hangingWhileProcessorsDie: readonly Step[] = [
  { fault: redisNetwork(silent), forMs: 25_000 },
  { fault: killed("processor", 1), atMs: 4000, forMs: SOON_MS },
  { fault: killed("processor", 1), atMs: 18_000, forMs: SOON_MS },
];

const redis: readonly Scenario[] = [
  one("redis-down", single(redisNetwork(down))),
  one("redis-down-with-names", single(redisNetwork(down)), { isNamed: true, refusedMax: ALL }),
  one("redis-down-with-limit", single(redisNetwork(down)), { limitPerS: 2000 }),
  one("redis-down-a-minute", [{ fault: redisNetwork(down), forMs: MINUTE_MS }], { ratePerS: 200 }),
  one("redis-slow-50ms", single(redisNetwork(slow(25)))),
  one("redis-slow-500ms", single(redisNetwork(slow(250)))),
  one("redis-hangs", single(redisNetwork(silent))),
  one("redis-cut-each-second", single(redisCut(1000))),
  one("redis-up-and-down", single(redisFlapping(700))),
  one("redis-killed", single(redisKilled)),
  one("redis-restarted", once(redisRestarted)),
  one("redis-frozen", single(redisFrozen)),
  one("redis-full", single(redisFull())),
  one("redis-refuses-writes", single(redisRefusesWrites)),
  one("redis-blocked-by-script", [{ fault: redisBlocked(FAULT_MS), forMs: 0 }]),
  one("redis-down-receiver-refuses", together(redisNetwork(down), receiverIs("refuses"))),
  one("redis-down-gateway-killed", during(redisNetwork(down), killed("gateway", 1))),
  one("redis-down-processor-killed", during(redisNetwork(down), killed("processor", 1))),
  one("redis-down-gateway-starts", during(redisNetwork(down), started("gateway")), { refusedMax: ALL }),
  one("redis-hangs-processor-killed", during(redisNetwork(silent), killed("processor", 1))),
  one("redis-hangs-processors-killed-in-turn", hangingWhileProcessorsDie, { ratePerS: 200, recoveryMsMax: 40_000 }),
  one("redis-frozen-gateway-stops", during(redisFrozen, stopped("gateway"))),
  one("redis-frozen-processor-stops", during(redisFrozen, stopped("processor"))),
];

const kafka: readonly Scenario[] = [
  one("kafka-down", single(kafkaNetwork(down))),
  one("kafka-down-a-minute", [{ fault: kafkaNetwork(down), forMs: MINUTE_MS }], { ratePerS: 200 }),
  one("kafka-slow-100ms", single(kafkaNetwork(slow(50)))),
  one("kafka-slow-1000ms", single(kafkaNetwork(slow(500)))),
  one("kafka-hangs", single(kafkaNetwork(silent))),
  one("kafka-cut-each-second", single(kafkaCut(1000))),
  one("kafka-up-and-down", single(kafkaFlapping(700))),
  one("kafka-killed", single(brokersKilled(1))),
  one("kafka-restarted", once(brokersRestarted)),
  one("kafka-frozen", single(brokersFrozen(1))),
  one("kafka-lane-deleted", single(topicDeleted("medium"))),
  one("kafka-retries-deleted", together(topicDeleted("retry.5s"), receiverIs("refuses"))),
  one("kafka-down-receiver-refuses", together(kafkaNetwork(down), receiverIs("refuses"))),
  one("kafka-down-gateway-killed", during(kafkaNetwork(down), killed("gateway", 1))),
  one("kafka-down-processor-killed", during(kafkaNetwork(down), killed("processor", 1))),
  one("kafka-down-redis-killed", during(kafkaNetwork(down), redisKilled), { refusedMax: ALL }),
  one("kafka-frozen-gateway-stops", during(brokersFrozen(1), stopped("gateway"))),
  one("kafka-frozen-processor-stops", during(brokersFrozen(1), stopped("processor"))),
];

const both: readonly Scenario[] = [
  one("both-down", together(redisNetwork(down), kafkaNetwork(down)), { refusedMax: ALL }),
  one("both-hang", together(redisNetwork(silent), kafkaNetwork(silent)), { refusedMax: ALL }),
  one(
    "redis-down-then-kafka",
    [
      { fault: redisNetwork(down), forMs: FAULT_MS / 2 + LATER_MS },
      { fault: kafkaNetwork(down), atMs: FAULT_MS / 2, forMs: FAULT_MS / 2 },
    ],
    { refusedMax: ALL },
  ),
  one(
    "kafka-down-then-redis",
    [
      { fault: kafkaNetwork(down), forMs: FAULT_MS / 2 + LATER_MS },
      { fault: redisNetwork(down), atMs: FAULT_MS / 2, forMs: FAULT_MS / 2 },
    ],
    { refusedMax: ALL },
  ),
  one(
    "both-down-everything-killed",
    during(allOf(redisNetwork(down), kafkaNetwork(down)), killed("gateway"), killed("processor")),
    { refusedMax: ALL },
  ),
];

/** After these the stores lack something, so they come last. */
const losses: readonly Scenario[] = [
  one("redis-flushed", during(killed("processor"), redisFlushed), { isHarmful: true }),
  one("redis-emptied", during(killed("processor"), redisEmptied), { isHarmful: true }),
  one("redis-flushed-retries-wait", during(receiverIs("refuses"), redisFlushed), { isHarmful: true }),
  one("kafka-down-redis-flushed", during(kafkaNetwork(down), redisFlushed), { isHarmful: true }),
];

const brokers: readonly Scenario[] = [
  three("one-broker-killed", single(brokersKilled(1))),
  three("one-broker-frozen", single(brokersFrozen(1))),
  three("one-broker-unreachable", single(oneBrokerNetwork(down))),
  three("one-broker-hangs", single(oneBrokerNetwork(silent))),
  three("brokers-restarted-in-turn", once(brokersRestarted)),
  three("leaders-moved", once(leadersMoved)),
  three("two-brokers-frozen", single(brokersFrozen(2))),
  three("too-few-in-sync", single(brokersKilled(1)), { env: { KAFKA_MIN_ISR: "3" } }),
];

const others: readonly Scenario[] = [
  on("cache")("cache-flushed", once(cacheFlushed), { limitPerS: 2000 }),
  on("cache")("cache-down", single(redisNetwork(down, "cache"))),
  on("cache")("cache-down-with-limit", single(redisNetwork(down, "cache")), { limitPerS: 2000 }),
  on("cache")("cache-full", single(redisFull("cache"))),
  on("sentinel")("redis-failed-over", once(redisFailedOver("kill"))),
  on("sentinel")("redis-master-frozen", once(redisFailedOver("freeze"))),
  on("small-disk")("kafka-disk-full", single(diskFull), { isHarmful: true }),
];

export const scenarios: readonly Scenario[] = [
  ...programs,
  ...redis,
  ...kafka,
  ...both,
  ...losses,
  ...brokers,
  ...others,
];

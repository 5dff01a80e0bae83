/**
 * Which files of a suite run beside each other. A suite is one lane, a process in which one file follows the other, unless
 * it has further ones here. Files that measure, that fill both cores or that kill under load stay in the first, so that they
 * are never beside each other; a new file does too. Bun's own ways to do this are of no use: `--parallel` knows no such
 * neighbours, and `--concurrent` (1.4.5) says `(pass)` of a test that failed.
 */

type Lane = readonly string[];

/** Their tests wait most of the time, unless it is said. */
const furtherLanes: Readonly<Record<string, readonly Lane[]>> = {
  e2e: [
    // For processes that start. Those that want the receiver's port are among these.
    [
      "test/e2e/cancel-race.test.ts",
      "test/e2e/claim-bound.test.ts",
      "test/e2e/claim-crash.test.ts",
      "test/e2e/cli-dev.test.ts",
      "test/e2e/cli-serve.test.ts",
      "test/e2e/cli-words.test.ts",
      "test/e2e/container-image.test.ts",
      "test/e2e/data-folder.test.ts",
      "test/e2e/delivery.test.ts",
      "test/e2e/distributed-check.test.ts",
      "test/e2e/distributed-npm-package.test.ts",
      "test/e2e/distributed-secure.test.ts",
      "test/e2e/distributed-settings.test.ts",
      "test/e2e/npm-package.test.ts",
      "test/e2e/one-port.test.ts",
      "test/e2e/resend-crash.test.ts",
      "test/e2e/reseal-folder.test.ts",
      "test/e2e/service-name.test.ts",
      "test/e2e/stopping.test.ts",
    ],
    // For stores that fail over, and for what a dead process held.
    [
      "test/e2e/distributed-away.test.ts",
      "test/e2e/distributed-cache.test.ts",
      "test/e2e/distributed-hedge-killed.test.ts",
      "test/e2e/distributed-kafka-away.test.ts",
      "test/e2e/distributed-master-key.test.ts",
      "test/e2e/distributed-metrics.test.ts",
      "test/e2e/distributed-older-replica.test.ts",
      "test/e2e/distributed-redis.test.ts",
      "test/e2e/hostile-message.test.ts",
    ],
    // For times that must pass: leases, sessions, standstills.
    [
      "test/e2e/distributed-clock.test.ts",
      "test/e2e/distributed-frozen.test.ts",
      "test/e2e/distributed-ledger.test.ts",
      "test/e2e/frozen.test.ts",
      "test/e2e/gateway-processes.test.ts",
    ],
  ],
  services: [
    // For one small answer of Redis after the other, over days of the clock.
    ["test/contract/distributed-kept.test.ts"],
    ["test/contract/distributed-edge.test.ts", "test/contract/distributed-http.test.ts"],
    ["test/contract/distributed.test.ts", "test/drivers/redis/high-lane.test.ts"],
    // For Kafka's groups to form, and for deadlines.
    [
      "test/drivers/kafka/broker-settings.test.ts",
      "test/drivers/kafka/lanes.test.ts",
      "test/drivers/kafka/partition-log.test.ts",
    ],
  ],
  // Neither waits: each fills a core.
  simulation: [["test/simulation/fleet.test.ts"]],
};

/** Lanes that have each of the files once. Throws when one names a file that is not there. */
export function lanesOf(suite: string, files: readonly string[]): readonly Lane[] {
  const further = furtherLanes[suite] ?? [];
  const named = new Set(further.flat());
  const missing = [...named].filter((file) => !files.includes(file));
  if (missing.length > 0) throw new Error(`a lane of ${suite} names ${missing.join(", ")}, which is not there`);
  // Without a file the runtime would run all that it finds.
  return [files.filter((file) => !named.has(file)), ...further].filter((lane) => lane.length > 0);
}

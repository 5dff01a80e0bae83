/**
 * Drivers on a real Redis, or on the model of it, under a clock set by hand. Time stands still while a command is under way: `advance` and
 * `settle` wait until every command has been answered, every published message heard, and every wait for a list that
 * holds something has ended. What lies in Redis is kept apart by a random prefix and deleted at the end.
 */
import { DatabaseSync } from "node:sqlite";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import type { KeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { openHttpRedis } from "@posthaste/shared/drivers/redis/client/http-commands.ts";
import { openRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import type { RedisCommands } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { createModelCommands, directLink } from "../../support/redis-model/model-commands.ts";
import { createRedisModel } from "../../support/redis-model/redis-model.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import type { Harness, HarnessBounds, HarnessClock } from "../../contract/harness.ts";
import { createCommandWatch } from "./watch.ts";
import { START_MS } from "../../support/samples.ts";
import { openRest } from "../../support/upstash/open-rest.ts";
import type { RestServer } from "../../support/upstash/rest-server.ts";

export interface RedisProcess {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  /** Of the process: stands still for good once it was killed. */
  readonly clock: Clock;
  /** Goes on through every crash: for what outlives processes. */
  readonly worldClock: Clock;
  readonly bounds: HarnessBounds;
  /** An embedded set in memory, for the ports that are not under test. It outlives `reopen`. */
  readonly others: Drivers;
  /** What listeners threw and connections met. */
  readonly onFault: (error: unknown) => void;
}

/** The drivers under test; those left out come from an embedded set in memory. `dispose` runs at an orderly end alone. */
export interface RedisDrivers extends Partial<Omit<Drivers, "flush" | "health" | typeof Symbol.asyncDispose>> {
  flush?(): Promise<void>;
  dispose?(): Promise<void>;
}

export interface RedisHarness extends Harness {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  readonly faults: readonly unknown[];
}

/**
 * `real`: REDIS_URL of the environment names it; without that the test fails. `http`: the same, where each call that stands alone
 * goes over HTTP and by a REST server.
 */
export type RedisServer = "real" | "http" | "model";

export function openRedisHarness(
  createDrivers: (process: RedisProcess) => RedisDrivers | Promise<RedisDrivers>,
  options: { readonly shards?: number; readonly server?: RedisServer } = {},
): (bounds?: HarnessBounds) => Promise<RedisHarness> {
  return async (bounds = {}) => {
    const prefix = `test-${Buffer.from(systemEntropy.bytes(8)).toString("hex")}:`;
    const keys = createKeySpace({ shards: options.shards ?? 1, prefix });
    const manual = createManualClock(START_MS);
    const faults: unknown[] = [];
    const onFault = (error: unknown): void => void faults.push(error);
    const rest = options.server === "http" ? await openRest() : null;
    const openConnection =
      options.server === "model" ? modelConnections(manual) : realConnections(manual, onFault, rest);
    const watch = createCommandWatch({ channel: keys.channel("barrier"), admin: openConnection() });
    const clock = createPatientClock(manual, () => watch.quiet());
    const database = new DatabaseSync(":memory:");
    const embedded = openEmbedded({
      clock: clock.noting(manual),
      entropy: systemEntropy,
      hasher: systemHasher,
      sealer: createSealer(MASTER_KEY),
      database,
    });
    let current = await start();

    async function start() {
      const connection = openConnection();
      const watched = watch.watch(connection);
      const processClock = manual.forProcess();
      const own = await createDrivers({
        commands: watched,
        keys,
        clock: clock.noting(processClock),
        worldClock: clock.noting(manual),
        bounds,
        others: embedded,
        onFault,
      });
      return { connection, watched, processClock, own, drivers: gather(embedded, own) };
    }

    return {
      clock,
      keys,
      faults,
      get commands() {
        return current.watched;
      },
      get drivers() {
        return current.drivers;
      },
      async reopen() {
        current.processClock.kill();
        await watch.forget(current.watched);
        await current.connection[Symbol.asyncDispose]();
        current = await start();
      },
      async [Symbol.asyncDispose]() {
        await current.own.dispose?.();
        await watch.forget(current.watched);
        await current.connection[Symbol.asyncDispose]();
        await watch.deleteAll(prefix);
        await watch[Symbol.asyncDispose]();
        await rest?.[Symbol.asyncDispose]();
        await embedded[Symbol.asyncDispose]();
        database.close();
      },
    };
  };
}

function modelConnections(manual: ManualClock): () => RedisCommands {
  const model = createRedisModel(() => manual.now());
  return () => createModelCommands({ model, link: directLink, clock: manual });
}

/** Deadlines and reconnections run in real time; scripts see the time that was set by hand. */
function realConnections(
  manual: ManualClock,
  onFault: (error: unknown) => void,
  rest: RestServer | null,
): () => RedisCommands {
  const url = process.env["REDIS_URL"];
  if (url === undefined) throw new Error("REDIS_URL is not set: this test needs a real Redis");
  const clock: Clock = { ...systemClock, now: () => manual.now() };
  const overTcp = (): RedisCommands => openRedis({ url, clock, entropy: systemEntropy, time: "clock", onFault });
  if (rest === null) return overTcp;
  const overHttp = { address: rest, name: "REDIS_REST_URL", fetch, clock, time: "clock" } as const;
  return () => {
    const { run, publish, health } = openHttpRedis(overHttp);
    return { ...overTcp(), run, publish, health };
  };
}

function gather(embedded: Drivers, own: RedisDrivers): Drivers {
  return {
    ...embedded,
    ...own,
    health: () => Promise.resolve(null),
    async flush() {
      await embedded.flush();
      await own.flush?.();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface PatientClock extends HarnessClock {
  /** The clock for a driver; each wait that it is asked for becomes a stop of `advance`. */
  noting(clock: Clock): Clock;
}

/** Goes from one noted time to the next and waits at each of them until all is quiet. */
function createPatientClock(manual: ManualClock, quiet: () => Promise<void>): PatientClock {
  const stops = new Set<number>();

  async function settle(): Promise<void> {
    await manual.settle();
    await quiet();
  }

  async function advance(ms: number): Promise<void> {
    const untilMs = manual.monotonic() + ms;
    await settle();
    for (let next = nextStop(stops, untilMs); next !== null; next = nextStop(stops, untilMs)) {
      stops.delete(next);
      await manual.advance(Math.max(0, next - manual.monotonic()));
      await settle();
    }
    await manual.advance(Math.max(0, untilMs - manual.monotonic()));
    await settle();
  }

  return {
    now: () => manual.now(),
    stepWall: (ms) => manual.stepWall(ms),
    advance,
    settle,
    noting(clock) {
      const note = (ms: number): void => void stops.add(clock.monotonic() + Math.max(0, ms));
      return {
        ...clock,
        timer(ms, callback) {
          note(ms);
          return clock.timer(ms, callback);
        },
        sleep(ms, signal) {
          note(ms);
          return clock.sleep(ms, signal);
        },
        deadline(ms, parent) {
          note(ms);
          return clock.deadline(ms, parent);
        },
      };
    },
  };
}

function nextStop(stops: ReadonlySet<number>, untilMs: number): number | null {
  let next: number | null = null;
  for (const stop of stops) {
    if (stop <= untilMs && (next === null || stop < next)) next = stop;
  }
  return next;
}

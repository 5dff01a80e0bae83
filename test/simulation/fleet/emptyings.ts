/** A Redis that lost everything: what it alone held is gone, and whatever a process, Kafka or an owner knows is not. */
import { DIRECTORY_AGE_MS_MAX } from "@posthaste/shared/drivers/redis/directory/answers.ts";
import type { RedisModel } from "../../support/redis-model/redis-model.ts";
import type { Chance } from "../chance.ts";
import type { Model, Published } from "../model.ts";
import type { Disruptions } from "./disruptions.ts";

export interface Emptying {
  readonly atMs: number;
  /** 0: flushed under standing connections; else it is away for so long and comes back without its data. */
  readonly awayMs: number;
}

export interface Emptyings {
  /** Empties it, and notes what is lost thereby. Returns how many events only Redis held. */
  empty(redis: RedisModel): number;
  /** Only Redis held it. */
  isLost(eventId: string): boolean;
  /** Claims, cancellations and the ledger's records of the event may be gone. */
  isForgotten(published: Pick<Published, "issuedAtMs">): boolean;
  /** A process ended: it may have been the only one that remembered an endpoint, and not have written it back. */
  processEnded(): void;
  count(): number;
}

const EMPTYINGS_MAX = 2;
const AWAY_MS_MAX = 5000;
/** From a change of an endpoint until every process that holds the tenant knows of it. */
const TOLD_MS = 1000;
/** From an emptying until those who remember an endpoint have found out and written it back. */
const WRITTEN_BACK_MS = AWAY_MS_MAX + DIRECTORY_AGE_MS_MAX + 2000;
/** The lane of HIGH names what it keeps; the spool is the one stream. */
const HIGH_KEPT = /lane:high:kept$/;
const EVENT_IDS = /evt_[0-9a-z]{26}|own-\d+/g;

export function drawEmptyings(chance: Chance, stormMs: number): Emptying[] {
  return Array.from({ length: chance.whole(1, EMPTYINGS_MAX) }, () => ({
    atMs: chance.whole(0, stormMs),
    awayMs: chance.isTrue(0.5) ? 0 : chance.magnitude(10, AWAY_MS_MAX),
  }));
}

export function createEmptyings(world: {
  readonly now: () => number;
  readonly startMs: number;
  readonly model: Model;
  /** Processes that ended, calls that were lost, outages: what somebody knew may be known to nobody. */
  readonly forgettings: Disruptions;
}): Emptyings {
  const { model } = world;
  const lost = new Set<string>();
  const timesMs: number[] = [];

  /** Some living process surely remembers the others as they are. */
  function noteSlots(nowMs: number): void {
    for (const slot of model.slots) {
      if (world.startMs + slot.createAtMs > nowMs) continue;
      const { createdAtMs } = slot;
      const isTold = slot.done.every(({ ackedAtMs }) => ackedAtMs !== null && ackedAtMs + TOLD_MS < nowMs);
      const isKnown = createdAtMs !== null && createdAtMs + TOLD_MS < nowMs && isTold;
      if (!isKnown || !world.forgettings.wasQuiet(createdAtMs, nowMs)) slot.mayBeLost = true;
    }
  }

  return {
    empty(redis) {
      const nowMs = world.now();
      const before = lost.size;
      for (const { key, kind, texts } of redis.contents()) {
        if (kind !== "stream" && !HIGH_KEPT.test(key)) continue;
        for (const text of texts) for (const [id] of text.matchAll(EVENT_IDS)) lost.add(id);
      }
      noteSlots(nowMs);
      timesMs.push(nowMs);
      redis.clear();
      return lost.size - before;
    },
    isLost: (eventId) => lost.has(eventId),
    isForgotten: ({ issuedAtMs }) => timesMs.some((atMs) => atMs >= issuedAtMs),
    processEnded() {
      const nowMs = world.now();
      const emptiedAtMs = timesMs.at(-1);
      if (emptiedAtMs === undefined || nowMs > emptiedAtMs + WRITTEN_BACK_MS) return;
      for (const slot of model.slots) if (world.startMs + slot.createAtMs <= emptiedAtMs) slot.mayBeLost = true;
    },
    count: () => timesMs.length,
  };
}

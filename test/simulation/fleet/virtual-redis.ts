/**
 * The Redis of a simulated world: the model behind connections that take time, keep their order, and are cut while it is
 * away. What has left is carried out when its sender dies; the answer then finds nobody.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { ModelLink } from "../../support/redis-model/model-commands.ts";
import type { RedisModel } from "../../support/redis-model/redis-model.ts";
import { createRedisModel } from "../../support/redis-model/redis-model.ts";
import type { Chance } from "../chance.ts";
import type { ProcessClock } from "../../support/clocks/virtual-clock.ts";

export interface VirtualRedis {
  readonly model: RedisModel;
  linkFor(process: LinkedProcess): ProcessLink;
  setAway(isAway: boolean): void;
  /** By the world's clock; null while it is there. */
  awaySinceMs(): number | null;
}

export interface LinkedProcess {
  readonly index: number;
  readonly clock: ProcessClock;
  readonly isAlive: () => boolean;
}

export interface ProcessLink extends ModelLink {
  /** False after some failures in a row, as the driver over TCP has it. */
  isReachable(): boolean;
}

const WAY_MS_MAX = 2;
/** A connection that is cut is there again within this of the end of the outage. */
const RECONNECT_MS_MAX = 2000;
const FAILURES_TO_OPEN = 5;

interface Place {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly model: RedisModel;
  /** Called for each call that is lost though Redis is there. */
  readonly isLost: () => boolean;
  /** A call of that process was carried out, and its answer has not left. */
  readonly onCarriedOut: (index: number) => void;
  readonly links: Set<{ cut(): void; restore(): void }>;
  isAway: boolean;
  awaySinceMs: number | null;
  /** Outages so far: an answer from before one does not arrive. */
  cuts: number;
}

export function createVirtualRedis(
  options: Pick<Place, "clock" | "chance" | "isLost" | "onCarriedOut"> & { readonly clock: Clock },
): VirtualRedis {
  const { clock } = options;
  const place: Place = {
    ...options,
    model: createRedisModel(() => clock.now()),
    links: new Set(),
    isAway: false,
    awaySinceMs: null,
    cuts: 0,
  };
  return {
    model: place.model,
    linkFor: (process) => createLink(place, process),
    awaySinceMs: () => place.awaySinceMs,
    setAway(isAway) {
      if (place.isAway === isAway) return;
      place.isAway = isAway;
      place.awaySinceMs = isAway ? clock.now() : null;
      if (isAway) place.cuts++;
      for (const link of place.links) {
        if (isAway) link.cut();
        else link.restore();
      }
    },
  };
}

/** Steps taken in the order in which they were asked for, each after a little while. */
function createWay(clock: Pick<Clock, "timer">, chance: Chance): (step: () => void) => void {
  const steps: (() => void)[] = [];
  return (step) => {
    steps.push(step);
    clock.timer(chance.whole(0, WAY_MS_MAX), () => steps.shift()?.());
  };
}

function createLink(place: Place, { index, clock, isAlive }: LinkedProcess): ProcessLink {
  const { chance } = place;
  const [out, back, tell] = [createWay(place.clock, chance), createWay(clock, chance), createWay(clock, chance)];
  let failures = 0;

  function call<Answer>(step: () => Answer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!isAlive()) return;
      const { cuts } = place;
      const fail = (): void => {
        failures++;
        reject(new PosthasteError("store-unavailable", { detail: "Redis failed; try again.", retryAfterS: 1 }));
      };
      out(() => {
        if (place.isAway || cuts !== place.cuts || (place.isLost() && chance.isTrue(0.5))) return back(fail);
        const answer = outcomeOf(step);
        place.onCarriedOut(index);
        const isLost = place.isLost();
        back(() => {
          if (isLost || cuts !== place.cuts) return fail();
          failures = 0;
          if ("error" in answer) reject(answer.error);
          else resolve(answer.value);
        });
      });
    });
  }

  return {
    call,
    tell,
    connect: (up, down) => connect(place, clock, up, down),
    isReachable: () => !place.isAway || failures < FAILURES_TO_OPEN,
  };
}

function outcomeOf<Answer>(step: () => Answer): { readonly value: Answer } | { readonly error: unknown } {
  try {
    return { value: step() };
  } catch (error) {
    return { error };
  }
}

function connect(place: Place, clock: Clock, up: () => void, down: () => void): () => void {
  const { chance, links } = place;
  let isUp = false;
  let isOver = false;
  const open = (withinMs: number): void => {
    clock.timer(chance.whole(0, withinMs), () => {
      if (isOver || isUp || place.isAway) return;
      isUp = true;
      up();
    });
  };
  const link = {
    cut() {
      if (isUp) clock.timer(chance.whole(0, WAY_MS_MAX), () => (isOver ? undefined : down()));
      isUp = false;
    },
    restore: () => open(RECONNECT_MS_MAX),
  };
  links.add(link);
  open(WAY_MS_MAX);
  return () => {
    isOver = true;
    links.delete(link);
  };
}

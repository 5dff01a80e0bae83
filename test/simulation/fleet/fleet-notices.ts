/**
 * Notices in a fleet: processes that share what an endpoint's record says of them. Each is told once, unless a process ended or a
 * store was away then; and told it is, also where the one that noted it died in that moment.
 */
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import type { Trouble } from "@posthaste/shared/domain/endpoint-trouble.ts";
import { PLACE_LENGTH } from "@posthaste/shared/drivers/redis/directory/scripts.ts";
import { announcementChannel } from "@posthaste/shared/drivers/redis/notifier.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import type { RedisModel } from "../../support/redis-model/redis-model.ts";
import { attemptOf, isHeardDelivered } from "../chains.ts";
import type { Chance } from "../chance.ts";
import type { Slot } from "../model.ts";
import { checkNoticeTrue, nameOf, sendsBefore } from "../notice-invariants.ts";
import type { Notices, ToldNotice, TroubleRow } from "../notices.ts";
import { watchNotices, withNotices } from "../notices.ts";
import type { SlotPlan } from "../scenario.ts";
import type { Send } from "../virtual-network.ts";
import type { FleetWitness } from "./fleet-invariants.ts";
import type { FleetScenario } from "./fleet-scenario.ts";

/** Endpoints of a tenant; a hash of id and text. */
const ENDPOINTS = /directory:endpoints:(.+)$/;

/**
 * In some fleets a tenant takes notices and the operator alerts, as `withNotices` has it for one process. Redis loses nothing there:
 * what it lost nobody can be told of.
 */
export function withFleetNotices(fleet: FleetScenario, chance: Chance): FleetScenario {
  const {
    bounds: _bounds,
    commitDeaths: _deaths,
    diskTroubles: _troubles,
    ...noticed
  } = withNotices({ ...fleet, bounds: {}, commitDeaths: [], diskTroubles: [] }, chance);
  const [lighthouse] = fleet.slots;
  // Where visitors die nobody is started after them.
  if (noticed.noticeDeaths.length === 0 || lighthouse === undefined || fleet.visitorsDie) return fleet;
  const operator: SlotPlan = { ...lighthouse, tenant: OPERATOR_TENANT, eventTypes: ["posthaste.alert.*"] };
  return { ...fleet, ...noticed, slots: [...noticed.slots, operator], emptyings: [] };
}

export interface FleetNotices extends Notices {
  /** A call was carried out. Is it the last of its process, as it noted a notice, or that one was sent? */
  isLast(nowMs: number): boolean;
}

export function watchFleetNotices(
  redis: RedisModel,
  { shards, noticeDeaths }: Pick<FleetScenario, "shards" | "noticeDeaths">,
): FleetNotices {
  const notices = watchNotices(() => troublesIn(redis));
  let isWritten = false;
  let newsCount = 0;
  if (noticeDeaths.length > 0)
    redis.subscribe(announcementChannel(createKeySpace({ shards })), () => {
      isWritten = true;
    });
  return {
    ...notices,
    isLast(nowMs) {
      if (!isWritten) return false;
      isWritten = false;
      return notices.look(nowMs) && noticeDeaths[newsCount++] === true;
    },
  };
}

function troublesIn(redis: RedisModel): readonly TroubleRow[] {
  return redis.contents().flatMap(({ key, texts }) => {
    const tenant = ENDPOINTS.exec(key)?.[1];
    if (tenant === undefined) return [];
    return texts.flatMap((endpointId, at): TroubleRow[] => {
      const stored = texts[at + 1];
      if (at % 2 === 1 || stored === undefined) return [];
      const record = JSON.parse(stored.slice(PLACE_LENGTH)) as {
        readonly trouble: Trouble | null;
        readonly statusReason: string | null;
      };
      return [{ tenant, endpointId, trouble: record.trouble, statusReason: record.statusReason }];
    });
  });
}

/** In the moment in which a notice leaves. */
export function checkFleetNoticeSent(witness: FleetWitness, send: Send, slot: Slot, told: ToldNotice): void {
  checkNoticeTrue(witness, send, slot, told);
  const before = sendsBefore(witness, send);
  const firstMs = Math.min(send.sentAtMs, ...before.map(({ sentAtMs }) => sentAtMs));
  if (!witness.disruptions.wasQuiet(firstMs, send.sentAtMs)) return;
  const isAgain = before.some((each) => isHeardDelivered(each) || attemptOf(each) === attemptOf(send));
  if (isAgain) witness.trace.violation("told once", `${nameOf(send, slot, told)}: made before`);
}

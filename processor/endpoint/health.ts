/**
 * Keeps the record of endpoints that fail without one success (`endpoint-trouble.ts`): notes it, tells the owner, disables. An
 * endpoint that is well costs nothing; one that fails costs a write now and then.
 *
 * The record is written first, then the notice is sent, then the record says that it was: a crash in between leaves a
 * notice to send, which the next delivery of the endpoint does, with the same id. What a store refuses is left to the next attempt.
 */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import type { EndpointTelemetry } from "@posthaste/shared/telemetry/endpoint.ts";
import type { OwnEvent } from "@posthaste/shared/domain/own-event.ts";
import type { Announce } from "../announce.ts";
import type { EndpointLookup } from "./lookup.ts";
import { isOwnFault } from "@posthaste/shared/domain/attempt.ts";
import {
  afterFailure,
  afterNotice,
  afterSuccess,
  notedAfterMs,
  noticeSinceMs,
} from "@posthaste/shared/domain/endpoint-trouble.ts";
import { isSuccess } from "@posthaste/shared/domain/outcome.ts";
import { endpointAlert, noticeEvent } from "@posthaste/shared/domain/own-event.ts";
import { Lru } from "@posthaste/shared/lib/lru.ts";

/** Notices of which this process remembers that it sent them, until their endpoints' records say so. */
const ANNOUNCED_MAX = 10_000;
/** Endpoints whose first failure is remembered until it is noted; past it the longest unused begins anew. */
const FIRST_FAILURES_MAX = 10_000;

export interface EndpointHealth {
  /** An attempt ended with `result`. Resolves when what follows is recorded and the owner told, if anything does. Never rejects. */
  attempted(endpoint: Endpoint, result: AttemptResult): Promise<void>;
  /** Sends the notice that the endpoint's record owes, if any. Never rejects. */
  tell(tenant: string, endpointId: string): Promise<void>;
}

export interface EndpointHealthDeps {
  readonly clock: Clock;
  readonly directory: Pick<Directory, "update">;
  readonly lookup: EndpointLookup;
  readonly announce: Announce;
  readonly disableAfterMs: number;
  readonly telemetry: Pick<EndpointTelemetry, "failing" | "disabled" | "well">;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}

export function createEndpointHealth(deps: EndpointHealthDeps): EndpointHealth {
  const { clock, disableAfterMs } = deps;
  const announceOnce = onceEach(deps.announce);
  /** By `monotonic`. */
  const firstFailures = new Lru<string, number>({ countMax: FIRST_FAILURES_MAX });
  /** Endpoints whose record is being written: what others learn meanwhile they learn again. */
  const underWay = new Set<string>();

  const isLasting = (endpointId: string): boolean => {
    const nowMs = clock.monotonic();
    const firstMs = firstFailures.get(endpointId);
    if (firstMs === undefined) firstFailures.set(endpointId, nowMs);
    if (nowMs - (firstMs ?? nowMs) < notedAfterMs(disableAfterMs)) return false;
    // Where another process has successes, this is noted no more often than that.
    firstFailures.set(endpointId, nowMs);
    return true;
  };

  const alone = async (endpointId: string, work: () => Promise<void>): Promise<void> => {
    if (underWay.has(endpointId)) return;
    underWay.add(endpointId);
    try {
      await work();
    } catch (error) {
      deps.onFailure("note endpoint", error, 0);
    } finally {
      underWay.delete(endpointId);
    }
  };

  return {
    async attempted(before, result) {
      if (isOwnFault(result)) return;
      const isGood = result.kind === "answered" && isSuccess(result.status);
      if (isGood) firstFailures.delete(before.id);
      if (isGood && before.trouble === null) return;
      const endpoint = deps.lookup.peek(before.tenant, before.id, 0) ?? before;
      if (!isGood && endpoint.trouble === null && !isLasting(endpoint.id)) return;
      const nowMs = Math.floor(clock.now());
      const judge = (now: Endpoint): Endpoint =>
        isGood ? afterSuccess(now, nowMs) : afterFailure(now, nowMs, disableAfterMs);
      if (judge(endpoint) === endpoint && !owesNotice(endpoint)) return;
      await alone(endpoint.id, () => note(deps, announceOnce, endpoint, judge));
    },
    async tell(tenant, endpointId) {
      const known = deps.lookup.peek(tenant, endpointId, 0);
      const endpoint = known === undefined ? await deps.lookup.find(tenant, endpointId, 0).catch(() => null) : known;
      if (endpoint === null || !owesNotice(endpoint)) return;
      await alone(endpointId, () => sendNotice(deps, announceOnce, endpoint));
    },
  };
}

async function note(
  deps: EndpointHealthDeps,
  announceOnce: AnnounceOnce,
  { tenant, id }: Endpoint,
  judge: Judge,
): Promise<void> {
  let before: Endpoint | null = null;
  const endpoint = await deps.directory.update(tenant, id, (now) => {
    before = now;
    return judge(now);
  });
  if (endpoint === null) return;
  tellOperator(deps, before ?? endpoint, endpoint);
  await sendNotice(deps, announceOnce, endpoint);
}

type AnnounceOnce = (event: OwnEvent) => Promise<boolean>;

/** While a record cannot be written its notice is owed at each delivery: what was sent is not sent again by this process. */
function onceEach(announce: Announce): AnnounceOnce {
  const announced = new Lru<string, true>({ countMax: ANNOUNCED_MAX });
  return async (event) => {
    const name = `${event.idAtMs}\n${event.identity}`;
    const isSent = announced.get(name) ?? (await announce([event]));
    if (isSent) announced.set(name, true);
    return isSent;
  };
}

type Judge = (endpoint: Endpoint) => Endpoint;

function owesNotice({ trouble }: Endpoint): boolean {
  return trouble?.notice?.isSent === false;
}

async function sendNotice(deps: EndpointHealthDeps, announceOnce: AnnounceOnce, endpoint: Endpoint): Promise<void> {
  const { trouble, tenant, id } = endpoint;
  const notice = trouble?.notice ?? null;
  if (trouble === null || notice === null || notice.isSent) return;
  const isSent = await announceOnce(noticeEvent(endpoint, trouble, notice, deps.disableAfterMs));
  const isAlerted = await announceOnce(endpointAlert(endpoint, trouble, notice));
  if (isSent && isAlerted) await deps.directory.update(tenant, id, (now) => afterNotice(now, notice));
}

function tellOperator({ telemetry }: EndpointHealthDeps, before: Endpoint, after: Endpoint): void {
  const { id, tenant, status, statusReason, trouble } = after;
  if (status === "disabled" && before.status !== status) telemetry.disabled(id, tenant, statusReason ?? "");
  if (trouble?.notice?.isSent !== false || before.trouble?.notice?.atMs === trouble.notice.atMs) return;
  if (trouble.notice.kind === "failing") telemetry.failing(id, tenant, noticeSinceMs(trouble));
  if (trouble.notice.kind === "recovered") telemetry.well(id, tenant, trouble.notice.atMs - noticeSinceMs(trouble));
}

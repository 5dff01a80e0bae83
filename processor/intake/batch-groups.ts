/**
 * LOW events for an endpoint that takes batches, collected into one grouped POST: closed at the endpoint's number of
 * events, its longest wait, `GROUP_BYTES_MAX`, or early when the lane's window is full and others wait behind it.
 * Members stay unacknowledged until the whole group is settled: each gets the group's own promise.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Cancel, Clock, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Ending, PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Completed } from "../delivery/completed.ts";
import type { RunDelivery } from "../delivery/run-delivery.ts";
import type { EndpointLookup } from "../endpoint/lookup.ts";
import { GROUP_BYTES_MAX, GROUP_FRAME_BYTES, groupMemberBytes } from "@posthaste/shared/domain/envelope.ts";
import { createGroup } from "@posthaste/shared/domain/message.ts";
import { ANYTHING } from "../delivery/completed.ts";
import { firstDelivery } from "../delivery/pending-delivery.ts";
import { versionSeen } from "../endpoint/lookup.ts";

/**
 * Members of a group that was open for so long are asked about before it goes: a queue may have handed them to another process meanwhile, and
 * does not tell. Groups that fill sooner, as under load, cost no question.
 */
const ASKED_AFTER_MS = 2000;

export interface BatchGroups {
  /** Resolves with the ending of the group that the event came into. `isRepeat`: it may have been attempted before. */
  add(envelope: Envelope, endpoint: Endpoint, isRepeat: boolean): Promise<Ending>;
  /** Sends the fullest group on before its time. False when none is open. */
  closeFullest(): boolean;
  /** Releases all members, now and from now on. */
  abandon(): void;
}

interface OpenGroup {
  /** By `monotonic`. */
  readonly openedAtMs: number;
  /** As its newest member found it. */
  endpoint: Endpoint;
  readonly members: Envelope[];
  readonly repeats: Envelope[];
  /** Of the members: a copy of one of them shares its place. */
  readonly ids: Set<string>;
  readonly ended: Promise<Ending>;
  readonly end: (ending: Ending | Promise<Ending>) => void;
  bytes: number;
  timer: Cancel;
}

export function createBatchGroups(deps: {
  clock: Clock;
  hasher: Hasher;
  run: Pick<RunDelivery, "first">;
  lookup: EndpointLookup;
  completed: Pick<Completed, "isShown">;
}): BatchGroups {
  const groups = new Map<string, OpenGroup>();
  let isAbandoned = false;

  /** What was known as its members came may be a minute old: they are asked about again, and the endpoint is read again where memory cannot tell. */
  const send = async (group: OpenGroup): Promise<Ending> => {
    const isOld = deps.clock.monotonic() - group.openedAtMs >= ASKED_AFTER_MS;
    const asked = isOld ? group.members : group.repeats;
    const { members, repeats } = asked.length === 0 ? group : await unlessCompleted(group, asked);
    if (members.length === 0) return "settled";
    const delivery = groupDelivery({ ...group, members, repeats }, deps.clock.now(), deps.hasher);
    const { tenant, endpointId } = delivery;
    const seen = versionSeen(delivery);
    const isKnown = deps.lookup.peek(tenant, endpointId, seen) !== undefined;
    if (!isKnown) await deps.lookup.find(tenant, endpointId, seen).catch(() => undefined);
    return deps.run.first(delivery, group.endpoint);
  };

  /** Who had a member before, or took it over, may have come to its end with it while the group was open. */
  const unlessCompleted = async (
    group: OpenGroup,
    asked: readonly Envelope[],
  ): Promise<Pick<OpenGroup, "members" | "repeats">> => {
    const { members, repeats, endpoint } = group;
    const isLeft = async (envelope: Envelope): Promise<boolean> =>
      !(await deps.completed.isShown(firstDelivery(envelope, endpoint, true), ANYTHING));
    const answers = await Promise.all(asked.map(isLeft));
    const completed = new Set(asked.filter((_, index) => answers[index] === false));
    const without = (envelopes: readonly Envelope[]): Envelope[] => envelopes.filter((each) => !completed.has(each));
    return completed.size === 0 ? group : { members: without(members), repeats: without(repeats) };
  };

  const close = (group: OpenGroup): void => {
    groups.delete(group.endpoint.id);
    group.timer();
    group.end(send(group));
  };

  const open = (endpoint: Endpoint, maxWaitMs: number): OpenGroup => {
    const { promise: ended, resolve: end } = Promise.withResolvers<Ending>();
    const group: OpenGroup = {
      openedAtMs: deps.clock.monotonic(),
      endpoint,
      members: [],
      repeats: [],
      ids: new Set(),
      ended,
      end,
      bytes: GROUP_FRAME_BYTES,
      timer: () => undefined,
    };
    group.timer = deps.clock.timer(maxWaitMs, () => close(group));
    groups.set(endpoint.id, group);
    return group;
  };

  return {
    add(envelope, endpoint, isRepeat) {
      if (isAbandoned || endpoint.batch === null) return Promise.resolve("released");
      const bytes = groupMemberBytes(envelope);
      const before = groups.get(endpoint.id);
      if (before?.ids.has(envelope.id) === true) {
        if (isRepeat) noteRepeat(before, envelope);
        return before.ended;
      }
      if (before !== undefined && before.bytes + bytes > GROUP_BYTES_MAX) close(before);
      const group = groups.get(endpoint.id) ?? open(endpoint, endpoint.batch.maxWaitMs);
      group.endpoint = endpoint;
      group.members.push(envelope);
      if (isRepeat) group.repeats.push(envelope);
      group.ids.add(envelope.id);
      group.bytes += bytes;
      if (group.members.length >= endpoint.batch.maxEvents) close(group);
      return group.ended;
    },
    closeFullest() {
      let fullest: OpenGroup | null = null;
      for (const group of groups.values()) {
        if (fullest === null || group.members.length > fullest.members.length) fullest = group;
      }
      if (fullest !== null) close(fullest);
      return fullest !== null;
    },
    abandon() {
      isAbandoned = true;
      for (const group of groups.values()) {
        group.timer();
        group.end("released");
      }
      groups.clear();
    },
  };
}

/** It came once more: another process may have had its member meanwhile. */
function noteRepeat({ members, repeats }: OpenGroup, { id }: Envelope): void {
  const member = members.find((each) => each.id === id);
  if (member !== undefined && !repeats.includes(member)) repeats.push(member);
}

/** A group of one is still a group: its receiver asked for batches and always gets the same form. */
function groupDelivery({ endpoint, members, repeats }: OpenGroup, nowMs: number, hasher: Hasher): PendingDelivery {
  return {
    tenant: endpoint.tenant,
    endpointId: endpoint.id,
    lane: "low",
    generation: 0,
    attempt: 1,
    deferrals: 0,
    unmade: 0,
    putAside: 0,
    // Each member was asked about when it came in, and once more when the group was closed.
    isRepeat: false,
    repeats,
    members,
    group: createGroup(members, nowMs, hasher),
  };
}

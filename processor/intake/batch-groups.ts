/**
 * LOW events for an endpoint that takes batches, collected into one grouped POST: closed at the endpoint's number of
 * events, its longest wait, `GROUP_BYTES_MAX`, or early when the lane's window is full and others wait behind it.
 * Members stay unacknowledged until the whole group is settled.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Cancel, Clock, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import { GROUP_BYTES_MAX, GROUP_FRAME_BYTES, groupMemberBytes } from "@posthaste/shared/domain/envelope.ts";
import { createGroup } from "@posthaste/shared/domain/message.ts";

export interface Source {
  readonly done: () => void;
  readonly handBack: () => void;
}

export interface BatchGroups {
  add(envelope: Envelope, endpoint: Endpoint, source: Source): void;
  /** Sends the fullest group on before its time. False when none is open. */
  closeFullest(): boolean;
  /** Hands all members back, now and from now on. */
  abandon(): void;
}

interface OpenGroup {
  readonly endpoint: Endpoint;
  readonly members: Envelope[];
  readonly sources: Source[];
  bytes: number;
  timer: Cancel;
}

export function createBatchGroups(deps: {
  clock: Clock;
  hasher: Hasher;
  submit(outgoing: PendingDelivery, endpoint: Endpoint): void;
}): BatchGroups {
  const open = new Map<string, OpenGroup>();
  let isAbandoned = false;

  const close = (group: OpenGroup) => {
    open.delete(group.endpoint.id);
    group.timer();
    deps.submit(toOutgoing(group, deps.clock.now(), deps.hasher), group.endpoint);
  };

  return {
    add(envelope, endpoint, source) {
      if (isAbandoned || endpoint.batch === null) return source.handBack();
      const bytes = groupMemberBytes(envelope);
      const before = open.get(endpoint.id);
      if (before !== undefined && before.bytes + bytes > GROUP_BYTES_MAX) close(before);
      let group = open.get(endpoint.id);
      if (group === undefined) {
        const opened: OpenGroup = {
          endpoint,
          members: [],
          sources: [],
          bytes: GROUP_FRAME_BYTES,
          timer: () => undefined,
        };
        opened.timer = deps.clock.timer(endpoint.batch.maxWaitMs, () => close(opened));
        open.set(endpoint.id, opened);
        group = opened;
      }
      group.members.push(envelope);
      group.sources.push(source);
      group.bytes += bytes;
      if (group.members.length >= endpoint.batch.maxEvents) close(group);
    },
    closeFullest() {
      let fullest: OpenGroup | null = null;
      for (const group of open.values()) {
        if (fullest === null || group.members.length > fullest.members.length) fullest = group;
      }
      if (fullest !== null) close(fullest);
      return fullest !== null;
    },
    abandon() {
      isAbandoned = true;
      for (const group of open.values()) {
        group.timer();
        for (const source of group.sources) source.handBack();
      }
      open.clear();
    },
  };
}

/** A group of one is still a group: its receiver asked for batches and always gets the same form. */
function toOutgoing({ endpoint, members, sources }: OpenGroup, nowMs: number, hasher: Hasher): PendingDelivery {
  return {
    tenant: endpoint.tenant,
    endpointId: endpoint.id,
    lane: "low",
    generation: 0,
    attempt: 1,
    parks: 0,
    members,
    group: createGroup(members, nowMs, hasher),
    done: () => {
      for (const source of sources) source.done();
    },
    handBack: () => {
      for (const source of sources) source.handBack();
    },
  };
}

/**
 * A group of the in-memory log: members, who holds what, committed offsets. The rebalance is Kafka's eager one: it waits
 * until every member is there or its session has ended, deals all partitions out anew, and each member hears of it a
 * little after the one before. Commits of what a member lost, whether it knows or not, do nothing.
 */
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import type { GroupListener } from "../../ports/partition-log.ts";
import type { MemoryMember } from "./partition-log-member.ts";
import { createMemoryMember } from "./partition-log-member.ts";
import type { MemoryPartition } from "./partition-log-partition.ts";

/** A crashed member is missed after this long. */
export const SESSION_MS = 6000;
/** From the reason of a rebalance to its end: the members' next heartbeat. */
const REBALANCE_MS = 500;
/** Between one member's hearing of the new assignment and the next one's. */
const NEWS_MS = 20;

export interface MemoryGroup {
  /** Absent: nothing committed yet. */
  readonly committed: Map<MemoryPartition, number>;
  join(topics: readonly string[], listener: GroupListener): GroupMembership;
  /** There may be something to read. */
  wake(): void;
}

export interface GroupMembership {
  /** Resolves when the first assignment was heard. */
  readonly joined: Promise<void>;
  health(): string | null;
  leave(): Promise<void>;
  crash(): void;
}

export interface GroupOptions {
  readonly clock: Clock;
  readonly logsOf: (topic: string) => readonly MemoryPartition[];
  readonly isReachable: () => boolean;
}

interface Seat {
  readonly member: MemoryMember;
  readonly topics: readonly string[];
  /** Null while alive; else when its session ends, on the monotonic clock. */
  sessionEndsAtMs: number | null;
}

interface State extends GroupOptions {
  readonly committed: Map<MemoryPartition, number>;
  readonly owners: Map<MemoryPartition, MemoryMember>;
  seats: readonly Seat[];
  isRebalancing: boolean;
  /** Rebalances that have ended. */
  round: number;
}

export function createMemoryGroup(options: GroupOptions): MemoryGroup {
  const group: State = {
    ...options,
    committed: new Map(),
    owners: new Map(),
    seats: [],
    isRebalancing: false,
    round: 0,
  };
  return {
    committed: group.committed,
    join: (topics, listener) => join(group, topics, listener),
    wake() {
      for (const { member } of group.seats) member.wake();
    },
  };
}

function join(group: State, topics: readonly string[], listener: GroupListener): GroupMembership {
  const { clock, isReachable } = group;
  const member = createMemoryMember({
    clock,
    listener,
    isReachable,
    commit(partition, next) {
      if (group.owners.get(partition) === member) group.committed.set(partition, next);
    },
  });
  const seat: Seat = { member, topics, sessionEndsAtMs: null };
  group.seats = [...group.seats, seat];
  rebalanceSoon(group);
  return {
    joined: member.joined,
    health: member.health,
    async leave() {
      if (seat.sessionEndsAtMs !== null) return;
      await member.leave();
      expire(group, seat);
    },
    crash() {
      if (seat.sessionEndsAtMs !== null) return;
      member.crash();
      seat.sessionEndsAtMs = clock.monotonic() + SESSION_MS;
      clock.timer(SESSION_MS, () => expire(group, seat));
    },
  };
}

function expire(group: State, seat: Seat): void {
  if (!group.seats.includes(seat)) return;
  group.seats = group.seats.filter((other) => other !== seat);
  rebalanceSoon(group);
}

function rebalanceSoon(group: State): void {
  if (group.isRebalancing) return;
  group.isRebalancing = true;
  group.clock.timer(REBALANCE_MS, () => tryRebalance(group));
}

/** A member that crashed holds everybody up until its session has ended. */
function tryRebalance(group: State): void {
  const { clock } = group;
  const nowMs = clock.monotonic();
  group.seats = group.seats.filter(({ sessionEndsAtMs }) => sessionEndsAtMs === null || sessionEndsAtMs > nowMs);
  const missing = group.seats.flatMap(({ sessionEndsAtMs }) => (sessionEndsAtMs === null ? [] : [sessionEndsAtMs]));
  if (missing.length > 0) {
    clock.timer(Math.min(...missing) - nowMs, () => tryRebalance(group));
    return;
  }
  group.isRebalancing = false;
  deal(group);
}

/** Each round begins with another member, so that partitions move even when the members stay the same. */
function deal(group: State): void {
  const { clock, committed, owners, seats, logsOf } = group;
  owners.clear();
  const round = ++group.round;
  const shares = new Map<MemoryMember, MemoryPartition[]>(seats.map(({ member }) => [member, []]));
  const topics = new Set(seats.flatMap((seat) => seat.topics));
  let turn = round;
  for (const partition of Array.from(topics).flatMap((topic) => logsOf(topic))) {
    const waiters = seats.filter((seat) => seat.topics.includes(partition.topic));
    const member = waiters[turn++ % waiters.length]?.member;
    assert(member !== undefined, "a topic of the group has a waiter");
    owners.set(partition, member);
    shares.get(member)?.push(partition);
  }
  let waitMs = 0;
  for (const [member, share] of shares) {
    const froms = share.map((partition) => ({ partition, from: committed.get(partition) ?? partition.start() }));
    clock.timer(waitMs, () => {
      if (round === group.round) member.assign(froms);
    });
    waitMs += NEWS_MS;
  }
}

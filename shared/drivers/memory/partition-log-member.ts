/** A member of a group of the in-memory log: what it holds, how far it has read, and its listener. */
import { PosthasteError } from "../../domain/errors.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { AssignedPartition, GroupListener } from "../../ports/partition-log.ts";
import type { MemoryPartition } from "./partition-log-partition.ts";

/** One fetch of one partition. */
const FETCH_RECORDS_MAX = 500;
const FETCH_BYTES_MAX = 1024 * 1024;
/** A resumed partition is read again after this long, as it is with a consumer whose fetch is under way. */
const RESUME_MS = 500;

export interface MemberOptions {
  readonly clock: Clock;
  readonly listener: GroupListener;
  readonly isReachable: () => boolean;
  /** Does nothing when the member does not own the log any more. */
  readonly commit: (partition: MemoryPartition, next: number) => void;
}

export interface Share {
  readonly partition: MemoryPartition;
  readonly from: number;
}

export interface MemoryMember {
  readonly joined: Promise<void>;
  /** Hears of a new assignment: what is missing in it is lost, what stays is read again from `from`. */
  assign(shares: readonly Share[]): void;
  wake(): void;
  health(): string | null;
  /** Gives up all partitions, after the commits under way. */
  leave(): Promise<void>;
  crash(): void;
}

interface Held {
  readonly handle: AssignedPartition;
  position: number;
  isPaused: boolean;
  /** On the monotonic clock. */
  readableAtMs: number;
}

interface State extends MemberOptions {
  readonly held: Map<MemoryPartition, Held>;
  readonly first: PromiseWithResolvers<void>;
  phase: "joining" | "joined" | "gone";
  isArmed: boolean;
}

export function createMemoryMember(options: MemberOptions): MemoryMember {
  const member: State = {
    ...options,
    held: new Map(),
    first: Promise.withResolvers(),
    phase: "joining",
    isArmed: false,
  };
  return {
    joined: member.first.promise,
    assign: (shares) => assign(member, shares),
    wake: () => wake(member),
    health: () => (member.phase === "joined" ? null : `the reader is ${member.phase}`),
    async leave() {
      await new Promise<void>((resolve) => options.clock.soon(resolve));
      if (member.phase === "gone") return;
      member.phase = "gone";
      for (const partition of Array.from(member.held.keys())) lose(member, partition);
    },
    crash() {
      member.phase = "gone";
      member.held.clear();
    },
  };
}

function assign(member: State, shares: readonly Share[]): void {
  const { held, listener } = member;
  if (member.phase === "gone") return;
  const logs = new Set(shares.map(({ partition }) => partition));
  for (const partition of Array.from(held.keys())) if (!logs.has(partition)) lose(member, partition);
  for (const { partition, from } of shares) {
    const own = held.get(partition);
    if (own === undefined) {
      const fresh = hold(member, partition, from);
      held.set(partition, fresh);
      listener.assigned(fresh.handle);
    } else {
      own.position = from;
    }
  }
  member.phase = "joined";
  member.first.resolve();
  wake(member);
}

function wake(member: State): void {
  if (member.isArmed || member.phase !== "joined") return;
  member.isArmed = true;
  member.clock.soon(() => fetchOnce(member));
}

/** What was fetched is handed over whole, whatever is paused meanwhile. */
function fetchOnce(member: State): void {
  const { clock, held, listener } = member;
  member.isArmed = false;
  if (member.phase !== "joined" || !member.isReachable()) return;
  const nowMs = clock.monotonic();
  const batches = Array.from(held, ([partition, own]) => {
    const isReadable = !own.isPaused && own.readableAtMs <= nowMs;
    return {
      partition,
      own,
      records: isReadable ? partition.read(own.position, FETCH_RECORDS_MAX, FETCH_BYTES_MAX) : [],
    };
  });
  let isMore = false;
  for (const { partition, own, records } of batches) {
    const last = records.at(-1);
    // The listener may have crashed the reader meanwhile, which empties the map.
    if (last === undefined || held.get(partition) !== own) continue;
    own.position = last.offset + 1;
    isMore ||= own.position < partition.end();
    listener.records(own.handle, records);
  }
  if (isMore) wake(member);
}

function hold(member: State, partition: MemoryPartition, from: number): Held {
  const { clock } = member;
  const own: Held = {
    handle: {
      topic: partition.topic,
      partition: partition.partition,
      from,
      pause() {
        own.isPaused = true;
      },
      resume() {
        if (!own.isPaused) return;
        own.isPaused = false;
        own.readableAtMs = clock.monotonic() + RESUME_MS;
        clock.timer(RESUME_MS, () => wake(member));
      },
      commit: (next) => commitSoon(member, partition, own, next),
    },
    position: from,
    isPaused: false,
    readableAtMs: 0,
  };
  return own;
}

function commitSoon(member: State, partition: MemoryPartition, own: Held, next: number): Promise<void> {
  return new Promise((resolve, reject) => {
    member.clock.soon(() => {
      if (member.held.get(partition) !== own) return resolve();
      if (!member.isReachable()) {
        return reject(new PosthasteError("store-unavailable", "The partition log is not reachable."));
      }
      member.commit(partition, next);
      resolve();
    });
  });
}

function lose({ held, listener }: State, partition: MemoryPartition): void {
  held.delete(partition);
  listener.lost({ topic: partition.topic, partition: partition.partition });
}

/**
 * Keeps the index of dead letters whole. One that is new, or whose store lost its data, is filled from the beginning of the
 * record by a group of its own, while the usual group reads on. Nothing is lost by a crash: it begins again.
 */
import { encodeHex } from "../../../domain/hex.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import { isAborted } from "../../../lib/lifecycle.ts";
import type { DeadLetterIndex } from "../../../ports/dead-letter-index.ts";
import type { PartitionLog } from "../../../ports/partition-log.ts";
import type { DeadLetterProjector } from "./projector.ts";

/** How often the index is looked at: a store that lost its data is filled again within about a minute and a half. */
export const LOOK_EVERY_MS = 60_000;
const POLL_MS = 1000;
const TOKEN_BYTES = 8;

export interface FillDeps {
  readonly partitionLog: Pick<PartitionLog, "openReader" | "depth">;
  readonly topic: string;
  /** The group of a filling begins with it. */
  readonly group: string;
  readonly index: Pick<DeadLetterIndex, "isWhole" | "beginFilling" | "endFilling">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly createProjector: () => DeadLetterProjector;
  /** Must not throw. */
  readonly onFault: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Looks now and then until `signal` is aborted; resolves after that. */
export async function keepIndexWhole(deps: FillDeps): Promise<void> {
  const { index, clock, entropy, onFault, signal } = deps;
  while (!isAborted(signal)) {
    try {
      if (!(await index.isWhole())) await fill(deps);
    } catch (error) {
      if (!isAborted(signal)) onFault(error);
    }
    // Processes that started together do not look together.
    await clock.sleep(LOOK_EVERY_MS * (0.5 + entropy.fraction()), signal).catch(() => undefined);
  }
}

/** From the beginning to where the record ends now; what comes later is the usual group's. */
async function fill(deps: FillDeps): Promise<void> {
  const { partitionLog, topic, index, clock, entropy, signal } = deps;
  const token = encodeHex(entropy.bytes(TOKEN_BYTES));
  const group = `${deps.group}.fill.${token}`;
  await index.beginFilling(token);
  const ends = new Map((await partitionLog.depth(group, topic)).map(({ partition, end }) => [partition, end]));
  const isDone = async (): Promise<boolean> =>
    (await partitionLog.depth(group, topic)).every(
      ({ partition, committed }) => committed >= (ends.get(partition) ?? 0),
    );
  if (!(await isDone())) {
    const projector = deps.createProjector();
    const reader = await partitionLog.openReader(group, [topic], projector.listener);
    try {
      while (!(await isDone())) await clock.sleep(POLL_MS, signal);
    } finally {
      await projector.close();
      await reader[Symbol.asyncDispose]();
    }
  }
  await index.endFilling(token);
}

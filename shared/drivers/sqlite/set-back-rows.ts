/**
 * A clock that is set back makes nobody wait longer: what was planned before it becomes due as much sooner. In the order of
 * time, part by part; a crash in between leaves the later parts with the times they had. What is in someone's hands stays
 * where it is, as its place is its handle.
 */
import type { Clock } from "../../lib/ambient.ts";
import { createSetBacks } from "../../lib/set-backs.ts";
import type { GroupCommit } from "./group-commit.ts";
import { PART_ROWS } from "./parts.ts";
import type { RetryPlace, RetryRows } from "./retry-rows.ts";

export interface SetBackRows {
  /** Asked before rows are looked at or written. Starts what is to be done, and does not wait for it. */
  look(): void;
  /** No further part is moved. */
  stop(): void;
}

export function createSetBackRows(deps: {
  readonly rows: Pick<RetryRows, "advance" | "idLast">;
  readonly writer: GroupCommit;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly isHeld: (id: number) => boolean;
  /** They are at other places now. */
  readonly moved: (places: readonly RetryPlace[]) => void;
  readonly onFault: (error: unknown) => void;
}): SetBackRows {
  const { rows, writer, clock } = deps;
  const findSetBack = createSetBacks(clock);
  const stopping = new AbortController();
  let moving: Promise<void> = Promise.resolve();

  async function move(ms: number, idMax: number): Promise<void> {
    // What is due by the clock as it is now needs nothing.
    let after: RetryPlace | null = { notBeforeMs: clock.now(), id: Number.MAX_SAFE_INTEGER };
    while (after !== null && !stopping.signal.aborted) {
      const from: RetryPlace = after;
      const wish = { ms, idMax, max: PART_ROWS, isFree: (id: number) => !deps.isHeld(id) };
      const part = await writer.write(
        () => rows.advance(from, wish),
        0,
        ({ moved }) => deps.moved(moved),
      );
      after = part.last;
    }
  }

  return {
    look(): void {
      const backMs = findSetBack();
      if (backMs === 0) return;
      const idMax = rows.idLast();
      moving = moving.then(() => move(backMs, idMax)).catch((error: unknown) => deps.onFault(error));
    },
    stop(): void {
      stopping.abort();
    },
  };
}

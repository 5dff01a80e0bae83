/** How far long work is: a bar on stderr when that is a terminal, nothing elsewhere. */
import type { Screen } from "./screen.ts";

export interface Progress extends Disposable {
  /** `share` from 0 to 1; null when nobody knows how much there is. */
  readonly update: (share: number | null, text: string) => void;
}

const CELLS = 24;
/** Drawn at most so often. */
const EVERY_MS = 100;

export function openProgress(screen: Screen, monotonic: () => number): Progress {
  let nextMs = 0;
  return {
    update(share, text) {
      if (monotonic() < nextMs) return;
      nextMs = monotonic() + EVERY_MS;
      const filled = Math.round(Math.min(1, share ?? 0) * CELLS);
      const bar = share === null ? "" : `[${"#".repeat(filled)}${"·".repeat(CELLS - filled)}] `;
      screen.overwrite(`${bar}${text}`);
    },
    [Symbol.dispose]: () => screen.overwrite(""),
  };
}

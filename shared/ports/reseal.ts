/** What `posthaste reseal` found and did. */
export interface ResealReport {
  /** Records that were looked at, in the last pass. */
  readonly looked: number;
  /** Sealed anew with the present key; of a dry run those that would be. */
  readonly resealed: number;
  /** `<tenant>/<endpoint>` of those that no key here opens, at most `UNREADABLE_MAX`. */
  readonly unreadable: readonly string[];
  readonly unreadableCount: number;
  /** Nothing is left under the previous key: a start does not need it any more. */
  readonly isDone: boolean;
}

/** Names in one report. */
export const UNREADABLE_MAX = 20;

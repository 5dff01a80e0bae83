/** What the stores of a driver set tell of themselves whenever metrics are collected. */

/** How far a group of readers is behind the end of one partition. */
export interface ConsumerLag {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** Offsets from the first that the group has not done to the end. */
  readonly records: number;
  /** Age of the oldest record that is not done, by the log's time, in ms; null when there is none. */
  readonly ageMs: number | null;
}

export interface StoreMemory {
  readonly store: string;
  readonly usedBytes: number;
  /** Null: the store has set itself no limit. */
  readonly maxBytes: number | null;
}

/** What cannot be read now is left out; neither rejects, and each asks its store a bounded number of short questions. */
export interface StoreGauges {
  consumerLag(): Promise<readonly ConsumerLag[]>;
  memory(): Promise<readonly StoreMemory[]>;
}

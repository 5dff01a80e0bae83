/**
 * Which alerts stand: one small text that all processes share, so that of two that see the same one tells the operator. Durable as
 * accepted events of HIGH are. Both reject with `store-unavailable`.
 */
export interface AlertBoard {
  /** Null when there is none yet. */
  read(): Promise<string | null>;
  /** Writes `after` if the text still is `before`; false: another process was first, and nothing was written. */
  replace(before: string | null, after: string): Promise<boolean>;
}

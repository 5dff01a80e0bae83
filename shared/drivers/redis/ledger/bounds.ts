/** What the ledger on Redis keeps, how much and how long: the numbers that its scripts and its buffers share. */

export interface LedgerBounds {
  /** Past it the tenant's oldest event by acceptance goes, whatever its state. */
  readonly eventsPerTenantMax: number;
  /**
   * Of one shard: packed envelopes, deliveries and attempts, with a fixed sum for the names of each. Past it whole
   * events go of the tenant that keeps most, so that nobody's flood costs another its history: of its oldest those first
   * that would expire first, so the longest delivered before the unfinished.
   */
  readonly bytesPerShardMax: number;
  /** Entries of one endpoint's list of deliveries; older ones are still found by their event. */
  readonly deliveriesPerEndpointMax: number;
  /** Entries of one endpoint's list of attempts; older ones are still found by their event. */
  readonly attemptsPerEndpointMax: number;
  /** Deliveries of one event, replays included; a further one is not recorded. */
  readonly deliveriesPerEventMax: number;
  /** Entries that wait to be written; a call that would pass it is dropped whole and counted. */
  readonly entriesWaitingMax: number;
  /** Their text, the same way: answers of receivers take up to 4 KiB each. */
  readonly bytesWaitingMax: number;
}

export const LEDGER_BOUNDS: LedgerBounds = {
  eventsPerTenantMax: 200_000,
  bytesPerShardMax: 512 * 1024 * 1024,
  deliveriesPerEndpointMax: 10_000,
  attemptsPerEndpointMax: 10_000,
  deliveriesPerEventMax: 10_000,
  entriesWaitingMax: 50_000,
  bytesWaitingMax: 64 * 1024 * 1024,
};

/**
 * Events, or calls of `record`, in one script, their bytes, and what each event or entry counts beside its text: about
 * 125 small ones, so that no script holds up the others in Redis for more than some milliseconds. One call of `record`
 * is never divided.
 */
export const BATCH_ITEMS_MAX = 500;
export const BATCH_BYTES_MAX = 1024 * 1024;
export const ITEM_BYTES = 8 * 1024;

/** After the last news of an event that is done. */
export const EVENTS_KEPT_MS = 24 * 3600 * 1000;

/**
 * After the last news, or the planned time, of an event that still owes an attempt. More than the longest wait between
 * two attempts with its jitter (7 days and a fifth), and each attempt is news.
 */
export const OPEN_KEPT_MS = 10 * 24 * 3600 * 1000;

/** After the last news of an event that an endpoint held back, unless `release` ends it: no attempt brings news. */
export const HELD_KEPT_MS = 30 * 24 * 3600 * 1000;

/** After `release`, so that what takes the delivery up again can say so. */
export const RELEASED_KEPT_MS = 3600 * 1000;

/** The claim of an event's own id ends by itself some 24 h after its acceptance, unless the event takes longer than this. */
export const CLAIM_EXTENDED_MS = 3600 * 1000;

/** How much later than trimming Redis itself drops the large values of a shard that nobody writes to. */
export const EXPIRY_SLACK_MS = 7 * 24 * 3600 * 1000;

/** What the ledger's scripts know of the code: each constant is a local of the same name. */
import { DELIVERY_STATES, HELD_STATES, isFinal } from "../../../domain/delivery.ts";
import { CLAIM_NAME, OWN_ID, RECORD_SLACK_MS } from "../claims.ts";
import { CLAIM_EXTENDED_MS, EVENTS_KEPT_MS, EXPIRY_SLACK_MS, HELD_KEPT_MS, OPEN_KEPT_MS } from "./bounds.ts";

/** For `names.lua`. */
export const LEDGER_STATES = { FINAL_STATES: DELIVERY_STATES.filter(isFinal), HELD_STATES };

/** For `events.lua`, which follows `names.lua`. */
export const EVENT_CONSTANTS = {
  ...LEDGER_STATES,
  CLAIM_NAME,
  OWN_ID,
  CLAIM_EXTENDED_MS,
  EVENTS_KEPT_MS,
  EXPIRY_SLACK_MS,
  HELD_KEPT_MS,
  OPEN_KEPT_MS,
  RECORD_SLACK_MS,
};

/** Things that the examples name, always the same ones. */
export const EVENT_ID = "evt_01m85460eg2gx2nzxsx6h17r3c";
export const ENDPOINT_ID = "ep_01m8545zc1tq4m3xk7v9d2e5ra";
export const DELIVERY_ID = "dlv_01m85460egh2w8c6z4n0y5t3pb";
export const KEY_ID = "key_01m8545y8rk6d1s9f3g7j2w4xe";
export const AT = "2026-01-31T12:00:00.000Z";
export const LATER = "2026-02-01T12:00:00.000Z";
export const ACCEPTED = { id: EVENT_ID, lane: "high", status_url: `/v1/events/${EVENT_ID}` };
export const EVENT = { type: "invoice.paid", data: { id: "inv_1", total: 1200 }, priority: "HIGH" };
export const EVENT_FACTS = {
  id: EVENT_ID,
  tenant: "default",
  type: "invoice.paid",
  priority: "HIGH",
  lane: "high",
  timestamp: AT,
  accepted_at: AT,
  deliver_at: null,
  trace_id: null,
  body_bytes: 105,
};

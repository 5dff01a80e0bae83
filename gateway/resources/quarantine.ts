/** `/v1/quarantine`, records that could not be read: list, show with the raw bytes, put back, delete. For operator keys alone. */
import * as v from "valibot";
import { encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { PosthasteError, isDamage } from "@posthaste/shared/domain/errors.ts";
import type { QuarantinedRecord } from "@posthaste/shared/ports/quarantined-records.ts";
import { PublishedId, TenantName } from "@posthaste/shared/domain/event.ts";
import { QUARANTINE_BYTES_MAX } from "@posthaste/shared/ports/quarantined-records.ts";
import type { RecordView } from "../answers/quarantine.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { requireInTime } from "../request/context.ts";
import { answerEmpty, answerJson } from "../request/handle.ts";
import { readPage } from "../request/cursors.ts";
import { paged } from "../request/query.ts";
import { instantText, listView } from "./view-parts.ts";

const ALL = "/v1/quarantine";

export function quarantineRoutes(deps: GatewayDeps): readonly Route[] {
  const one = { path: `${ALL}/:id`, query: {}, body: null };
  return [
    {
      method: "GET",
      path: ALL,
      scope: "read",
      query: paged,
      body: null,
      handle: (admitted) => list(deps, admitted),
    },
    { ...one, method: "GET", scope: "read", handle: (admitted) => show(deps, admitted) },
    { ...one, method: "DELETE", scope: "manage", handle: (admitted) => remove(deps, admitted) },
    {
      ...one,
      method: "POST",
      scope: "manage",
      path: `${ALL}/:id/put-back`,
      handle: (admitted) => putBack(deps, admitted),
    },
  ];
}

async function list(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  requireOperator(admitted);
  const { quarantinedRecords } = deps.drivers;
  const [page, count] = await Promise.all([
    readPage(deps, admitted, { tenant: null }, (limit, cursor) => quarantinedRecords.list(limit, cursor)),
    quarantinedRecords.count(),
  ]);
  return answerJson(admitted, 200, { count, ...listView(page, recordView) });
}

async function show(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const record = await findRecord(deps, admitted);
  const { headers, value } = record;
  const raw = { headers, value_base64: value === null ? null : encodeBase64(value) };
  return answerJson(admitted, 200, { ...recordView(record), ...raw });
}

async function remove(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const record = await findRecord(deps, admitted);
  await recordEnded(deps, record);
  requireInTime(admitted.context);
  await deps.drivers.quarantinedRecords.remove(record.id);
  return answerEmpty(admitted);
}

/**
 * What names an event was its way to its endpoints, and nothing brings that back: the event must not be shown as waiting. If
 * another record of it is worked on after all, as when it is put back, what that records counts. Before the removal: what a
 * crash in between leaves is still listed, and is deleted again.
 */
async function recordEnded(deps: GatewayDeps, { headers }: QuarantinedRecord): Promise<void> {
  const { id: eventId, tenant } = headers;
  if (!v.is(PublishedId, eventId) || !v.is(TenantName, tenant)) return;
  const { ledger } = deps.drivers;
  const event = await ledger.event(tenant, eventId).catch((error: unknown) => {
    if (isDamage(error)) return null;
    throw error;
  });
  if (event === null || event.fanOut !== null) return;
  const of = { tenant, eventId, endpointId: UNKNOWN_ENDPOINT, generation: 0, eventType: event.envelope.type };
  const ending = { state: "dead", attempt: 0, result: null, groupId: null, nextAttemptAtMs: null } as const;
  const delivery = { ...of, ...ending, atMs: Math.floor(deps.clock.now()), reason: DELETED };
  ledger.record([{ kind: "delivery", delivery }]);
  await ledger.recorded();
}

const DELETED = "its record could not be read, and was deleted from quarantine";

/** Back to its source first: a crash before it leaves the list reads it twice, and lanes recognise the repeat. */
async function putBack(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const record = await findRecord(deps, admitted);
  const { quarantinedRecords } = deps.drivers;
  if (!(await quarantinedRecords.putBack(record))) {
    const detail = `Only the first ${QUARANTINE_BYTES_MAX} bytes of this record are kept here, or it does not say where it belongs; the whole is in the topic poison.`;
    throw new PosthasteError("conflict", detail);
  }
  await quarantinedRecords.remove(record.id);
  return answerJson(admitted, 202, { id: record.id, source: record.source });
}

/** What cannot be read may be of any tenant. */
function requireOperator({ caller }: AdmittedRequest): void {
  if (caller.tenant === null) return;
  throw new PosthasteError("wrong-tenant", "Records in quarantine belong to no tenant; use an operator key.");
}

async function findRecord(deps: GatewayDeps, admitted: AdmittedRequest): Promise<QuarantinedRecord> {
  requireOperator(admitted);
  const record = await deps.drivers.quarantinedRecords.find(admitted.param("id"));
  requireInTime(admitted.context);
  if (record !== null) return record;
  throw new PosthasteError(
    "not-found",
    "There is no record of this id in quarantine; it may have made room for others.",
  );
}

function recordView({ id, source, partition, offset, reason, atMs, bytes, value }: QuarantinedRecord): RecordView {
  const place = `${partition}:${offset}`;
  return { id, source, place, reason, at: instantText(atMs), bytes, is_cut: (value?.length ?? 0) !== bytes };
}

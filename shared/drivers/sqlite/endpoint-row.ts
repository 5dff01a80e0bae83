/**
 * The row of an endpoint: settings as JSON, since no query looks into them; what is secret sealed and bound to the
 * endpoint: its signing secrets, and its headers, which carry passwords and tokens.
 */
import * as v from "valibot";
import type { Sealer } from "../../lib/ambient.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { EndpointRecord } from "../../domain/endpoint.ts";
import { RecordedName } from "../../domain/envelope-record.ts";
import { TenantName } from "../../domain/event.ts";
import type { SqlValue } from "./database.ts";
import { rowDamaged } from "./row-damage.ts";

export interface EndpointRow {
  readonly id: number;
  readonly tenant: string;
  readonly endpoint_id: string;
  readonly url: string;
  readonly description: string;
  readonly settings: string;
  readonly secrets: Uint8Array;
  readonly status: string;
  readonly status_reason: string | null;
  readonly status_since: number | null;
  readonly created_at: number;
  readonly updated_at: number;
}

type Settings = Pick<Endpoint, "eventTypes" | "retry" | "rateLimit" | "batch" | "trouble">;
type Sealed = Pick<Endpoint, "secrets" | "headers">;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The values of all columns but `id`, in the order of the table. */
export function endpointValues(endpoint: Endpoint, sealer: Sealer): SqlValue[] {
  const { eventTypes, headers, secrets, retry, rateLimit, batch, trouble } = endpoint;
  const settings: Settings = { eventTypes, retry, rateLimit, batch, trouble };
  const sealed: Sealed = { secrets, headers };
  return [
    endpoint.tenant,
    endpoint.id,
    endpoint.url,
    endpoint.description,
    JSON.stringify(settings),
    sealer.seal(encoder.encode(JSON.stringify(sealed)), sealContext(endpoint.id)),
    endpoint.status,
    endpoint.statusReason,
    endpoint.statusSinceMs,
    endpoint.createdAtMs,
    endpoint.updatedAtMs,
  ];
}

/** Throws `store-unavailable` for what does not read back; its cause is `SealBroken` when its secrets do not open. */
export function endpointOf(row: EndpointRow, sealer: Sealer): Endpoint {
  try {
    const names = v.parse(Names, { id: row.endpoint_id, tenant: row.tenant });
    return { ...names, ...v.parse(EndpointRecord, recordOf(row, sealer)) };
  } catch (cause) {
    const name = row.endpoint_id.replace(/[^A-Za-z0-9_-]/g, "?").slice(0, 64);
    throw rowDamaged(
      `The row of the endpoint ${name} in the database does not read back, or is sealed with a master key that is not here`,
      cause,
    );
  }
}

const Names = v.object({ id: RecordedName, tenant: TenantName });

function recordOf(row: EndpointRow, sealer: Sealer): object {
  const { eventTypes, retry, rateLimit, batch, trouble } = JSON.parse(row.settings) as Settings;
  const opened = sealer.open(row.secrets, sealContext(row.endpoint_id));
  const { secrets, headers } = JSON.parse(decoder.decode(opened)) as Sealed;
  return {
    url: row.url,
    eventTypes,
    description: row.description,
    headers,
    secrets,
    retry,
    rateLimit,
    batch,
    status: row.status,
    statusReason: row.status_reason,
    statusSinceMs: row.status_since,
    trouble,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

export function sealContext(endpointId: string): string {
  return `endpoint:${endpointId}`;
}

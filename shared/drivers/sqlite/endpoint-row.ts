/** The row of an endpoint: settings as JSON, since no query looks into them; secrets sealed, bound to the endpoint. */
import type { Sealer } from "../../lib/ambient.ts";
import type { Endpoint, EndpointSecret, EndpointStatus } from "../../domain/endpoint.ts";
import type { SqlValue } from "./database.ts";

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

type Settings = Pick<Endpoint, "eventTypes" | "headers" | "retry" | "rateLimit" | "batch">;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The values of all columns but `id`, in the order of the table. */
export function endpointValues(endpoint: Endpoint, sealer: Sealer): SqlValue[] {
  const { eventTypes, headers, retry, rateLimit, batch } = endpoint;
  const settings: Settings = { eventTypes, headers, retry, rateLimit, batch };
  return [
    endpoint.tenant,
    endpoint.id,
    endpoint.url,
    endpoint.description,
    JSON.stringify(settings),
    sealer.seal(encoder.encode(JSON.stringify(endpoint.secrets)), sealContext(endpoint.id)),
    endpoint.status,
    endpoint.statusReason,
    endpoint.statusSinceMs,
    endpoint.createdAtMs,
    endpoint.updatedAtMs,
  ];
}

/** Throws when the secrets were sealed with another master key. */
export function endpointOf(row: EndpointRow, sealer: Sealer): Endpoint {
  const { eventTypes, headers, retry, rateLimit, batch } = JSON.parse(row.settings) as Settings;
  const secrets = sealer.open(row.secrets, sealContext(row.endpoint_id));
  return {
    id: row.endpoint_id,
    tenant: row.tenant,
    url: row.url,
    eventTypes,
    description: row.description,
    headers,
    secrets: JSON.parse(decoder.decode(secrets)) as readonly EndpointSecret[],
    retry,
    rateLimit,
    batch,
    status: row.status as EndpointStatus,
    statusReason: row.status_reason,
    statusSinceMs: row.status_since,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

function sealContext(endpointId: string): string {
  return `endpoint:${endpointId}`;
}

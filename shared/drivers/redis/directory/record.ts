/**
 * An endpoint as Redis keeps it: its place in the orders, then JSON. What is secret is sealed and bound to the endpoint:
 * its signing secrets, and its headers, which carry passwords and tokens.
 */
import { Buffer } from "node:buffer";

import * as v from "valibot";
import type { Endpoint, EndpointStatus } from "../../../domain/endpoint.ts";
import { ENDPOINT_STATUSES, EndpointRecord } from "../../../domain/endpoint.ts";
import { RecordedName } from "../../../domain/envelope-record.ts";
import { isDamage } from "../../../domain/errors.ts";
import type { Sealer } from "../../../lib/ambient.ts";
import { recordDamaged } from "../client/redis-faults.ts";
import { PLACE_LENGTH } from "./scripts.ts";

type Sealed = Pick<Endpoint, "secrets" | "headers">;
type Open = Omit<Endpoint, "id" | "tenant" | "secrets" | "headers">;
type Text = Open & { readonly sealed: string };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Another text on each call, since a seal is fresh each time: equal texts are the same write. */
export function endpointText(endpoint: Endpoint, sealer: Sealer): string {
  const { id, tenant: _tenant, secrets, headers, ...open } = endpoint;
  const secret: Sealed = { secrets, headers };
  const bytes = sealer.seal(encoder.encode(JSON.stringify(secret)), sealContext(id));
  return JSON.stringify({ ...open, sealed: Buffer.from(bytes).toString("base64") } satisfies Text);
}

/** `stored` is a place and a text. Throws damage for what does not read back, or was sealed with another master key. */
export function endpointOf(tenant: string, id: string, stored: string, sealer: Sealer): Endpoint {
  const record = v.safeParse(EndpointRecord, recordOf(id, stored, sealer));
  if (record.success && v.is(RecordedName, id)) return { id, tenant, ...record.output };
  throw recordDamaged(
    `The record of the endpoint ${shown(id)} of the tenant ${tenant} does not read back, or is sealed with a master key that is not here`,
  );
}

/** Null for one that does not read back, of which `told` hears. */
export function readableEndpoint(
  { tenant, id, stored }: { readonly tenant: string; readonly id: string; readonly stored: string },
  sealer: Sealer,
  told: (error: unknown) => void,
): Endpoint | null {
  try {
    return endpointOf(tenant, id, stored, sealer);
  } catch (error) {
    if (!isDamage(error)) throw error;
    told(error);
    return null;
  }
}

/** What lies there with its seal opened, of whatever form; null when that much does not read. */
function recordOf(id: string, stored: string, sealer: Sealer): object | null {
  try {
    const { sealed, ...open } = JSON.parse(stored.slice(PLACE_LENGTH)) as Text;
    const bytes = sealer.open(Buffer.from(sealed, "base64"), sealContext(id));
    return { ...open, ...(JSON.parse(decoder.decode(bytes)) as Sealed) };
  } catch {
    return null;
  }
}

/**
 * The same record under the present key: its place, and a text of which the seal alone is another. Null when no key opens it;
 * what is in it otherwise is not looked at.
 */
export function sealedAnew(id: string, stored: string, sealer: Sealer): string | null {
  try {
    const { sealed, ...open } = JSON.parse(stored.slice(PLACE_LENGTH)) as Text;
    const plain = sealer.open(Buffer.from(sealed, "base64"), sealContext(id));
    const bytes = sealer.seal(plain, sealContext(id));
    return placeOf(stored) + JSON.stringify({ ...open, sealed: Buffer.from(bytes).toString("base64") } satisfies Text);
  } catch {
    return null;
  }
}

/** False also for what does not read back. */
export function isSealedCurrently(id: string, stored: string, sealer: Sealer): boolean {
  try {
    const { sealed } = JSON.parse(stored.slice(PLACE_LENGTH)) as Text;
    return sealer.isCurrent(Buffer.from(sealed, "base64"), sealContext(id));
  } catch {
    return false;
  }
}

/** Of a name that may be anything. */
function shown(id: string): string {
  return id.replace(/[^A-Za-z0-9_-]/g, "?").slice(0, 64);
}

/** Without opening the seal; null where there is none. */
export function statusOf(stored: string): EndpointStatus | null {
  try {
    const { status } = JSON.parse(stored.slice(PLACE_LENGTH)) as Text;
    return ENDPOINT_STATUSES.find((each) => each === status) ?? null;
  } catch {
    return null;
  }
}

export function placeOf(stored: string): string {
  return stored.slice(0, PLACE_LENGTH);
}

function sealContext(endpointId: string): string {
  return `endpoint:${endpointId}`;
}

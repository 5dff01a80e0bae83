/**
 * An endpoint as Redis keeps it: its place in the orders, then JSON. What is secret is sealed and bound to the endpoint:
 * its signing secrets, and its headers, which carry passwords and tokens.
 */
import { Buffer } from "node:buffer";

import type { Endpoint, EndpointStatus } from "../../../domain/endpoint.ts";
import type { Sealer } from "../../../lib/ambient.ts";
import { jsonOf } from "../client/reply.ts";
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

/** `stored` is a place and a text. Throws when it was sealed with another master key. */
export function endpointOf(tenant: string, id: string, stored: string, sealer: Sealer): Endpoint {
  const { sealed, ...open } = jsonOf(stored.slice(PLACE_LENGTH)) as Text;
  const bytes = sealer.open(Buffer.from(sealed, "base64"), sealContext(id));
  const { secrets, headers } = JSON.parse(decoder.decode(bytes)) as Sealed;
  return { id, tenant, ...open, secrets, headers };
}

/** Without opening the seal. */
export function statusOf(stored: string): EndpointStatus {
  return (JSON.parse(stored.slice(PLACE_LENGTH)) as Text).status;
}

export function placeOf(stored: string): string {
  return stored.slice(0, PLACE_LENGTH);
}

function sealContext(endpointId: string): string {
  return `endpoint:${endpointId}`;
}

/**
 * Cursors as callers hold them: the store's own, sealed for the list and the tenant that it is of. They say nothing of what is
 * stored, and one that was changed, cut, given out by another list or for another tenant is refused before a store sees it.
 */
import { decodeBase64, encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import { SealBroken } from "@posthaste/shared/lib/ambient.ts";
import type { Page } from "@posthaste/shared/ports/dead-letters.ts";
import type { AdmittedRequest } from "./handle.ts";
import { cursorOf, limitOf } from "./query.ts";

interface CursorDeps {
  readonly drivers: { readonly cursorSealer: Pick<Sealer, "seal" | "open"> };
}

/** What a list is of: a tenant, null for every one, or one of its endpoints. */
export interface ListSubject {
  readonly tenant: string | null;
  readonly endpointId?: string;
}

/** The page that the query asks for. `read` gets the store's own cursor. */
export async function readPage<Row>(
  deps: CursorDeps,
  admitted: AdmittedRequest,
  subject: ListSubject,
  read: (limit: number, cursor: string | null) => Promise<Page<Row>>,
): Promise<Page<Row>> {
  const text = cursorOf(admitted.query);
  const cursor = text === null ? null : openCursor(deps, admitted, subject, text);
  const { rows, next } = await read(limitOf(admitted.query), cursor);
  return { rows, next: next === null ? null : sealCursor(deps, admitted, subject, next) };
}

export function sealCursor(deps: CursorDeps, admitted: AdmittedRequest, subject: ListSubject, cursor: string): string {
  const sealed = deps.drivers.cursorSealer.seal(new TextEncoder().encode(cursor), contextOf(admitted, subject));
  return encodeBase64(sealed).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Throws `invalid-cursor` for what `sealCursor` did not give out for the same route and subject. */
export function openCursor(deps: CursorDeps, admitted: AdmittedRequest, subject: ListSubject, text: string): string {
  const bytes = decodeUrlSafe(text);
  try {
    if (bytes !== null)
      return new TextDecoder().decode(deps.drivers.cursorSealer.open(bytes, contextOf(admitted, subject)));
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
  }
  throw new PosthasteError("invalid-cursor", "This cursor was not given out by this list.");
}

/** Neither a route's template nor a name has a space in it. */
function contextOf({ context }: AdmittedRequest, { tenant, endpointId = "" }: ListSubject): string {
  return `${context.route} ${tenant ?? "*"} ${endpointId}`;
}

/** Base64 in the alphabet of RFC 4648 section 5, unpadded; null for any other text. */
function decodeUrlSafe(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[\w-]+$/.test(text)) return null;
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return decodeBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}

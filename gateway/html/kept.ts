/** Texts that are the same for everybody: pages, styles and scripts. */
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { InboundHeaders } from "@posthaste/shared/ports/inbound-request.ts";
import { textResponse } from "@posthaste/shared/ports/text-response.ts";

export interface Kept {
  /** Made once: whoever asks needs no key, may be many, and need not read what they asked for. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

const encoder = new TextEncoder();

/** Asked for again each time, and sent again only when it has changed. */
export function keep(text: string, headers: Readonly<Record<string, string>>, hasher: Hasher): Kept {
  const etag = `"${encodeHex(hasher.sha256(text)).slice(0, 32)}"`;
  return { bytes: encoder.encode(text), headers: { etag, "cache-control": "no-cache", ...headers } };
}

/** RFC 9110 section 13.1.2. */
export function shown({ bytes, headers }: Kept, asked: Pick<InboundHeaders, "get">): Response {
  const known = (asked.get("if-none-match") ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  const isKnown = known.some((tag) => tag === "*" || tag === headers["etag"]);
  return isKnown ? new Response(null, { status: 304, headers }) : textResponse({ status: 200, headers, text: bytes });
}

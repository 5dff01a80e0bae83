/**
 * Does a form come from one of our own pages? Browsers say so in fields that no page can set. `Sec-Fetch-Site` comes over https
 * and from this machine; where it is missing, `Origin` must name the host that was asked.
 */
import type { InboundHeaders } from "@posthaste/shared/ports/inbound-request.ts";
import { Refused } from "./refused.ts";

/** Throws 403. */
export function requireSameOrigin(headers: Pick<InboundHeaders, "get">): void {
  const site = headers.get("sec-fetch-site");
  const isSame = site === null ? isOwnOrigin(headers) : site === "same-origin";
  if (!isSame) throw formRefused("This form was sent from another site, or from no page at all.");
}

export function formRefused(why: string): Refused {
  const detail = `${why} Nothing was done. Open the page again, and send its form.`;
  return new Refused({ status: 403, title: "The form was refused", detail });
}

/** By the scheme of the page that sent the form. */
export function isSecure(headers: Pick<InboundHeaders, "get">): boolean {
  return headers.get("origin")?.startsWith("https://") === true || headers.get("x-forwarded-proto") === "https";
}

function isOwnOrigin(headers: Pick<InboundHeaders, "get">): boolean {
  const host = /^https?:\/\/(.+)$/.exec(headers.get("origin") ?? "")?.[1];
  // A proxy in between may name itself as the host. No form can set either field.
  return host !== undefined && (host === headers.get("host") || host === headers.get("x-forwarded-host"));
}

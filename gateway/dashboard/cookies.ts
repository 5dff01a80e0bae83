/**
 * The cookie that a session lies in. Dashboard and portal have one each, so that who has both open is somebody else in each. The
 * prefix `__Host-` is kept for cookies of https, which no other host of the site can set (RFC 6265bis section 4.1.3.2); it wants
 * the path `/`.
 */
import type { InboundHeaders } from "@posthaste/shared/ports/inbound-request.ts";
import { isThisMachine } from "@posthaste/shared/domain/this-machine.ts";
import { isSecure } from "./same-origin.ts";

type Headers = Pick<InboundHeaders, "get">;

export interface SessionCookie {
  /** The sealed session of a request; null when it has none. */
  of(headers: Headers): string | null;
  /** The field that sets it, in answer to a form. */
  field(value: string, maxAgeS: number, headers: Headers): string;
  endedField(headers: Headers): string;
}

/** Sent along from our own pages alone. */
export const dashboardCookie: SessionCookie = sessionCookie("posthaste-session", () => "SameSite=Strict");

/**
 * `Lax`, as people come by links of other sites. In a frame of another site browsers send what says `None`, which is only for https
 * and for this machine; and `Partitioned` (CHIPS), so that it is kept where cookies of third parties are blocked, for each site apart.
 */
export function portalCookie(isFramed: boolean): SessionCookie {
  return sessionCookie("posthaste-portal", (headers) =>
    isFramed && (isSecure(headers) || isThisMachine(hostOf(headers)))
      ? "SameSite=None; Partitioned; Secure"
      : "SameSite=Lax",
  );
}

function sessionCookie(plain: string, policyOf: (headers: Headers) => string): SessionCookie {
  const secure = `__Host-${plain}`;
  const field = (value: string, maxAgeS: number, headers: Headers): string => {
    const policy = policyOf(headers);
    const common = `Path=/; Max-Age=${maxAgeS}; HttpOnly; ${policy}`;
    if (!isSecure(headers)) return `${plain}=${value}; ${common}`;
    return `${secure}=${value}; ${common}${policy.endsWith("; Secure") ? "" : "; Secure"}`;
  };
  return {
    of(headers) {
      const pairs = (headers.get("cookie") ?? "").split(/[;,]/).map((pair) => pair.trim());
      for (const name of comesByHttps(headers) ? [secure] : [secure, plain]) {
        const found = pairs.find((pair) => pair.startsWith(`${name}=`));
        if (found !== undefined) return found.slice(name.length + 1);
      }
      return null;
    },
    field,
    endedField: (headers) => field("", 0, headers),
  };
}

/** Without its port. */
function hostOf(headers: Headers): string {
  return (headers.get("host") ?? "").replace(/:\d+$/, "");
}

/**
 * Then the plain name is not ours: any other host of the site may have set it, to lead somebody into a session of its own. By what
 * the proxy or the browser says: `Sec-Fetch-Site` comes over https and from this machine alone, whose http is as good to browsers.
 */
function comesByHttps(headers: Headers): boolean {
  if (headers.get("x-forwarded-proto") === "https") return true;
  return headers.get("sec-fetch-site") !== null && !isThisMachine(hostOf(headers));
}

/** How the local receiver behaves on each of its paths, so that every kind of failure can be tried by a URL. */

/** Where a receiver listens unless it is told otherwise. */
export const RECEIVER_PORT = 8081;

export type Behaviour =
  | { readonly kind: "answer"; readonly status: number; readonly afterMs: number; readonly retryAfter: string | null }
  | { readonly kind: "hang" };

/** Also the longest that a delivery waits for an answer, four times over. */
const SLOW_MS_MAX = 60_000;

export const BEHAVIOUR_PATHS = "/status/500  /status/429?retry-after=3  /fail/2/then-ok  /slow?ms=2000  /hang";

/** A path that is none of these answers 200 at once. `attempt` is `posthaste-attempt`, from 1. */
export function behaviourOf(url: URL, attempt: number): Behaviour {
  const [, first = "", second = "", third = ""] = url.pathname.split("/");
  if (first === "hang") return { kind: "hang" };
  if (first === "slow") return answer(200, Math.min(Number(url.searchParams.get("ms")) || 0, SLOW_MS_MAX), null);
  if (first === "fail" && third === "then-ok") return answer(attempt <= Number(second) ? 500 : 200, 0, null);
  if (first === "status" && /^[2-5]\d\d$/.test(second)) {
    return answer(Number(second), 0, url.searchParams.get("retry-after"));
  }
  return answer(200, 0, null);
}

function answer(status: number, afterMs: number, retryAfter: string | null): Behaviour {
  return { kind: "answer", status, afterMs: Math.max(0, afterMs), retryAfter };
}

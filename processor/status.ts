/** `/livez` (also `/healthz`), `/readyz` and `/metrics` of a processor: open, without a key, and no secret in them. */
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import { createMetricsPage } from "@posthaste/shared/domain/metrics-format.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";

/** A store that has not answered by then counts as down. */
const HEALTH_MS = 3000;

export interface StatusDeps {
  readonly clock: Clock;
  /** Null while something is delivered; else one sentence. */
  readonly health: () => Promise<string | null>;
  /** One entry for each store that is away while the rest goes on; none unless given. */
  readonly degraded?: () => Promise<readonly string[]>;
  /** Null when everything was set up; else one sentence. */
  readonly missing: () => string | null;
  readonly isStopping: () => boolean;
  /** The text of `/metrics`. */
  readonly collectMetrics: (format: MetricsFormat) => Promise<string>;
}

export function createStatus(deps: StatusDeps): (request: InboundRequest) => Promise<Response> {
  const metrics = createMetricsPage(deps.collectMetrics, deps.clock);
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (PATHS.has(pathname) && request.method !== "GET" && request.method !== "HEAD") return notRead(request.method);
    switch (pathname) {
      case "/livez":
      case "/healthz":
        return answer(200, '{"status":"ok"}', "application/json");
      case "/readyz":
        return readiness(deps);
      case "/metrics": {
        const { text, headers } = await metrics(request.headers.get("accept"));
        return new Response(text, { headers });
      }
      default:
        return problem(404, "There is nothing here; see /livez, /readyz and /metrics.");
    }
  };
}

const PATHS: ReadonlySet<string> = new Set(["/livez", "/healthz", "/readyz", "/metrics"]);

/** As a gateway answers on these paths. */
function notRead(method: string): Response {
  const allow = { allow: "GET, HEAD, OPTIONS" };
  if (method === "OPTIONS") return new Response(null, { status: 204, headers: allow });
  const refused = problem(405, "This path takes GET, HEAD, OPTIONS.");
  refused.headers.set("allow", allow.allow);
  return refused;
}

async function readiness(deps: StatusDeps): Promise<Response> {
  if (deps.isStopping()) return problem(503, "This process ends what it has begun and takes nothing new.");
  const missing = deps.missing();
  if (missing !== null) return problem(503, missing);
  const { fault, degraded } = await conditionInTime(deps);
  if (fault !== null) return problem(503, fault);
  const body = degraded.length === 0 ? { status: "ready" } : { status: "ready", degraded };
  return answer(200, JSON.stringify(body), "application/json");
}

interface Found {
  readonly fault: string | null;
  readonly degraded: readonly string[];
}

async function conditionInTime({ health, degraded, clock }: StatusDeps): Promise<Found> {
  const asking = Promise.all([health(), degraded?.() ?? []]).then(
    ([fault, away]): Found => ({ fault, degraded: away }),
    (): Found => ({ fault: "A store cannot be asked for its health.", degraded: [] }),
  );
  const asked = await inTime(clock, HEALTH_MS, asking);
  return asked.kind === "done"
    ? asked.value
    : { fault: `The stores did not answer within ${HEALTH_MS} ms.`, degraded: [] };
}

function problem(status: number, detail: string): Response {
  const title = status === 404 ? "Not found" : status === 405 ? "Method not allowed" : "Not ready";
  return answer(status, JSON.stringify({ type: "about:blank", title, status, detail }), "application/problem+json");
}

function answer(status: number, text: string, contentType: string): Response {
  return new Response(text, { status, headers: { "content-type": contentType, "cache-control": "no-store" } });
}

/**
 * `/livez` (also `/healthz`), `/readyz` and `/metrics`: open without a key, and without a secret in them. Liveness means
 * the process alone. Ready is whoever still accepts a part of what comes, for a balancer without it would send that
 * nowhere; the body names what is degraded. Readiness ends when the server begins to stop.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { createMetricsPage } from "@posthaste/shared/domain/metrics-format.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import type { InboundHeaders } from "@posthaste/shared/ports/inbound-request.ts";
import type { GatewayDeps } from "../request/deps.ts";

/** A store that has not answered by then counts as down. */
const HEALTH_MS = 3000;

export interface OpenRoute {
  readonly path: string;
  readonly handle: (headers: Pick<InboundHeaders, "get">) => Promise<Response>;
}

export function healthRoutes(deps: GatewayDeps, isStopping: () => boolean): readonly OpenRoute[] {
  const metrics = createMetricsPage(deps.collectMetrics, deps.clock);
  const live = async (): Promise<Response> => plain('{"status":"ok"}', "application/json");
  return [
    { path: "/livez", handle: live },
    { path: "/healthz", handle: live },
    { path: "/readyz", handle: () => readiness(deps, isStopping) },
    {
      path: "/metrics",
      handle: async (asked) => {
        const { text, headers } = await metrics(asked.get("accept"));
        return new Response(text, { headers });
      },
    },
  ];
}

async function readiness(deps: GatewayDeps, isStopping: () => boolean): Promise<Response> {
  if (isStopping()) throw new PosthasteError("stopping", "This process finishes its requests and takes no new ones.");
  const { fault, degraded } = await conditionInTime(deps);
  if (fault !== null) throw new PosthasteError("store-unavailable", fault);
  const body = degraded.length === 0 ? { status: "ready" } : { status: "ready", degraded };
  return plain(JSON.stringify(body), "application/json");
}

export interface StoresFound {
  readonly fault: string | null;
  readonly degraded: readonly string[];
}

/** Never rejects. */
export async function conditionInTime({
  drivers,
  clock,
}: Pick<GatewayDeps, "drivers" | "clock">): Promise<StoresFound> {
  const asking = Promise.all([drivers.health(), drivers.degraded()]).then(
    ([fault, degraded]): StoresFound => ({ fault, degraded }),
    (): StoresFound => ({ fault: "A store cannot be asked for its health.", degraded: [] }),
  );
  const asked = await inTime(clock, HEALTH_MS, asking);
  return asked.kind === "done"
    ? asked.value
    : { fault: `The stores did not answer within ${HEALTH_MS} ms.`, degraded: [] };
}

function plain(text: string, contentType: string): Response {
  return new Response(text, { headers: { "content-type": contentType, "cache-control": "no-store" } });
}

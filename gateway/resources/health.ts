/**
 * `/livez` (also `/healthz`), `/readyz` and `/metrics`: open without a key, and without a secret in them. Liveness means
 * the process alone. Readiness means every store, and ends when the server begins to stop.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import type { GatewayDeps } from "../request/deps.ts";

/** A store that has not answered by then counts as down. */
const HEALTH_MS = 3000;

export interface OpenRoute {
  readonly path: string;
  readonly handle: () => Promise<Response>;
}

export function healthRoutes(deps: GatewayDeps, isStopping: () => boolean): readonly OpenRoute[] {
  const live = async (): Promise<Response> => plain('{"status":"ok"}', "application/json");
  return [
    { path: "/livez", handle: live },
    { path: "/healthz", handle: live },
    { path: "/readyz", handle: () => readiness(deps, isStopping) },
    {
      path: "/metrics",
      handle: async () => plain(await deps.collectMetrics(), "text/plain; version=0.0.4; charset=utf-8"),
    },
  ];
}

async function readiness(deps: GatewayDeps, isStopping: () => boolean): Promise<Response> {
  if (isStopping()) throw new PosthasteError("stopping", "This process finishes its requests and takes no new ones.");
  const fault = await healthInTime(deps);
  if (fault !== null) throw new PosthasteError("store-unavailable", fault);
  return plain('{"status":"ready"}', "application/json");
}

async function healthInTime({ drivers, clock }: GatewayDeps): Promise<string | null> {
  const unknown = "A store cannot be asked for its health.";
  const asking = drivers.health().catch(() => unknown);
  const asked = await inTime(clock, HEALTH_MS, asking);
  return asked.kind === "done" ? asked.value : `The stores did not answer within ${HEALTH_MS} ms.`;
}

function plain(text: string, contentType: string): Response {
  return new Response(text, { headers: { "content-type": contentType, "cache-control": "no-store" } });
}

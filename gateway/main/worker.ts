/** Cloudflare Workers, and workerd. Bundled by `npm run build:worker`; its settings are variables and secrets of the worker. */
import type { Environment } from "@posthaste/shared/domain/config.ts";
import { createEdgeGateway } from "./edge-gateway.ts";

const fetch = createEdgeGateway();

export default {
  fetch: (request: Request, environment: Environment, context: { waitUntil(work: Promise<unknown>): void }) =>
    fetch(request, environment, (work) => context.waitUntil(work)),
};

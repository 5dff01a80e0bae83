/**
 * What spans of a kind have in common, by the semantic conventions 1.44 of OpenTelemetry (HTTP stable, messaging in development);
 * ours begin with `posthaste.`. No URL of an endpoint is among it, for its path or query may be a secret. docs/operations.md has
 * all of them.
 */
import type { Endpoint } from "../domain/endpoint.ts";
import type { Lane } from "../domain/event.ts";
import { Lru } from "../lib/lru.ts";
import type { SpanAttributes, SpanStem } from "./spans.ts";

/** Methods and routes whose stems are kept; that of the one longest unused is made again. */
const REQUESTS_KEPT_MAX = 512;

function messaging(operation: "send" | "process", destination: string): SpanAttributes {
  return {
    "messaging.system": "posthaste",
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
    "messaging.destination.name": destination,
  };
}

const sendStem = (destination: string): SpanStem => ({
  name: `send ${destination}`,
  kind: "producer",
  attributes: messaging("send", destination),
});
const processStem = (lane: Lane): SpanStem => ({
  name: `process ${lane}`,
  kind: "consumer",
  attributes: messaging("process", lane),
});

export const sendStems = {
  high: sendStem("high"),
  medium: sendStem("medium"),
  low: sendStem("low"),
  retry: sendStem("retry"),
  "dead-letter": sendStem("dead-letter"),
} as const satisfies Record<Lane | "retry" | "dead-letter", SpanStem>;

export const processStems = {
  high: processStem("high"),
  medium: processStem("medium"),
  low: processStem("low"),
} as const satisfies Record<Lane, SpanStem>;

export const replayStem: SpanStem = { name: "replay", kind: "producer", attributes: messaging("send", "retry") };

/** Of requests to the API. */
export function createRequestStems(): (method: string, route: string) => SpanStem {
  const known = new Lru<string, SpanStem>({ countMax: REQUESTS_KEPT_MAX });
  let last: { readonly method: string; readonly route: string; readonly stem: SpanStem } | null = null;
  return (method, route) => {
    // Many requests of a kind come one after the other: their name is put together once.
    if (last?.method === method && last.route === route) return last.stem;
    const stem = stemOf(method, route);
    last = { method, route, stem };
    return stem;
  };

  function stemOf(method: string, route: string): SpanStem {
    const name = `${method} ${route}`;
    const before = known.get(name);
    if (before !== undefined) return before;
    const attributes = { "http.request.method": method, "http.route": route, "url.scheme": "http" };
    const stem: SpanStem = { name, kind: "server", attributes };
    known.set(name, stem);
    return stem;
  }
}

/** Of attempts at an endpoint: made once for as long as it is held in memory. */
export function attemptStem(endpoint: Pick<Endpoint, "id" | "tenant" | "url">): SpanStem {
  const before = stemByEndpoint.get(endpoint);
  if (before !== undefined) return before;
  const stem: SpanStem = {
    name: "POST",
    kind: "client",
    attributes: {
      "posthaste.tenant": endpoint.tenant,
      "posthaste.endpoint.id": endpoint.id,
      "http.request.method": "POST",
      ...serverOf(endpoint.url),
    },
  };
  stemByEndpoint.set(endpoint, stem);
  return stem;
}

const stemByEndpoint = new WeakMap<object, SpanStem>();

function serverOf(url: string): SpanAttributes {
  try {
    const { protocol, hostname, port } = new URL(url);
    const scheme = protocol.slice(0, -1);
    return {
      "server.address": hostname,
      "server.port": port === "" ? (scheme === "https" ? 443 : 80) : Number(port),
      "url.scheme": scheme,
    };
  } catch {
    return {};
  }
}

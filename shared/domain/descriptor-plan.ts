/**
 * How one process shares out the descriptors that it may open: sockets to receivers, connections of callers, and the rest
 * (database files, Redis, Kafka, name servers, logs). Who floods one part cannot take what another needs.
 */

export interface DescriptorPlan {
  /** Open sockets to receivers, idle ones among them; 0 where nothing is delivered. */
  readonly deliverySocketsMax: number;
  /** Attempts in flight: each may hold a socket of its own, and as many idle ones may wait for the next. */
  readonly attemptsMax: number;
  /** Open connections of callers. */
  readonly inboundMax: number;
}

/** What runs in the process. */
export interface DescriptorUse {
  readonly delivers: boolean;
  /** The API is served; else only /livez, /readyz and /metrics. */
  readonly servesApi: boolean;
  /** Attempts in flight that are wished for. */
  readonly attemptsMax: number;
}

/**
 * For everything that is neither a receiver nor a caller. Measured on Bun 1.4.5 under load: 25 of the runtime and SQLite, 40
 * with Redis and Kafka of three brokers; the rest is for look-ups of names, and addresses that are dialled side by side.
 */
export const RESERVED = 128;
/** Below this there is no useful share for anybody. */
export const DESCRIPTORS_MIN = 256;
export const INBOUND_MAX = 8192;
/** Probes and scrapes of a process that serves no API. */
export const INBOUND_STATUS_MAX = 64;

/** The plan, or null when the limit is under `DESCRIPTORS_MIN`. `limit` Infinity: there is none. */
export function planDescriptors(limit: number, use: DescriptorUse): DescriptorPlan | null {
  if (limit < DESCRIPTORS_MIN) return null;
  const free = limit - RESERVED;
  const deliverySocketsMax = use.delivers ? Math.min(2 * use.attemptsMax, deliveryShare(free, use.servesApi)) : 0;
  const inboundMax = Math.min(use.servesApi ? INBOUND_MAX : INBOUND_STATUS_MAX, free - deliverySocketsMax);
  return {
    deliverySocketsMax,
    attemptsMax: Math.min(use.attemptsMax, Math.floor(deliverySocketsMax / 2)),
    inboundMax,
  };
}

/** Four sevenths beside an API: at 1,024 descriptors half of them, 512. */
function deliveryShare(free: number, servesApi: boolean): number {
  return servesApi ? Math.floor((free * 4) / 7) : free - INBOUND_STATUS_MAX;
}

/** Why the process does not start, and what mends it. */
export function tooFewDescriptors(limit: number): string {
  return `this process may open only ${limit} files and sockets, and needs ${DESCRIPTORS_MIN} at least. Raise the limit: \`ulimit -n 4096\` in the shell that starts it, LimitNOFILE= in systemd, --ulimit nofile=4096 for a container.`;
}

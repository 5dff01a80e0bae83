/** Gateways and processors on a Redis and a Kafka, for the benches of the distributed set. */
import { randomBytes } from "node:crypto";
import type { Constellation } from "posthaste/constellation.ts";
import { openConstellation } from "posthaste/constellation.ts";
import type { LocalServices } from "posthaste/local-services.ts";
import { openLocalServices } from "posthaste/local-services.ts";

export interface DistributedBench extends Constellation {
  readonly redisUrl: string;
  /** The settings that name Redis and Kafka. */
  readonly stores: Readonly<Record<string, string>>;
  /** Before all keys. */
  readonly prefix: string;
  /** The settings of its programs, those of the stores among them. */
  readonly env: Readonly<Record<string, string>>;
  readonly post: Post;
}

/** POSTs to the gateway, as the operator or with another key; throws with the answer when it is not 2xx. */
export type Post = (path: string, body: unknown, key?: string) => Promise<Readonly<Record<string, unknown>>>;

const GRACE_MS = 20_000;
/** Longer than the gateway's own budget for a request, on busy cores. */
const ANSWER_MS_MAX = 60_000;

/** Those of REDIS_URL and KAFKA_BROKERS, else such as are started for it. */
export function openBenchServices(): Promise<LocalServices> {
  return openLocalServices((sentence) => void process.stderr.write(`${sentence}\n`));
}

/** On Redis and Kafka of its own, unless `services` has some that others use too. */
export async function openDistributedBench(options: {
  readonly gateways: number;
  readonly processors: number;
  /** Settings beside the usual ones. */
  readonly env?: Readonly<Record<string, string>>;
  readonly services?: LocalServices;
}): Promise<DistributedBench> {
  await using opening = new AsyncDisposableStack();
  const services = options.services ?? opening.use(await openBenchServices());
  const prefix = `bench${randomBytes(4).toString("hex")}`;
  const env = {
    ...services.env,
    KAFKA_PREFIX: `${prefix}.`,
    REDIS_PREFIX: `${prefix}:`,
    LOG_LEVEL: "info",
    ...options.env,
  };
  const constellation = opening.use(await openConstellation({ ...options, graceMs: GRACE_MS, env }));
  const opened = opening.move();
  return {
    ...constellation,
    redisUrl: services.env["REDIS_URL"] ?? "",
    stores: services.env,
    prefix,
    env,
    post: poster(constellation.gateways[0]?.url ?? "", constellation.operatorKey),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

export function poster(url: string, operatorKey: string): Post {
  return async (path, body, key = operatorKey) => {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
}

/** A receiver in this process, whose clock is the publisher's: tells of each arrival by its `webhook-id`. */
export function openProbe() {
  const waiting = new Map<string, (atMs: number) => void>();
  const arrived = new Map<string, number>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const atMs = performance.now();
      const id = request.headers.get("webhook-id") ?? "";
      const tell = waiting.get(id);
      if (tell === undefined) arrived.set(id, atMs);
      else tell(atMs);
      return new Response(null, { status: 204 });
    },
  });
  return {
    url: `http://127.0.0.1:${String(server.port)}/`,
    /** Resolves with the time of its first arrival, also when that is over; once for each id. */
    arrival(id: string): Promise<number> {
      const atMs = arrived.get(id);
      if (atMs !== undefined) {
        arrived.delete(id);
        return Promise.resolve(atMs);
      }
      return new Promise((resolve) => {
        waiting.set(id, (cameAtMs) => {
          waiting.delete(id);
          resolve(cameAtMs);
        });
      });
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** The demo's receiver: checks each delivery with the published `standardwebhooks` library, not with our own code. */
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import { Webhook } from "standardwebhooks";

/** More than one process delivers with at once. */
const CONNECTIONS_MAX = 2048;
const SIGNED_HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];

export interface Arrival {
  /** `clock.monotonic()` at the first time it came. */
  readonly firstAt: number;
  /** Every time it came, the signature was right. */
  readonly isVerified: boolean;
  readonly body: Uint8Array;
  /** 1 when it came once. */
  readonly times: number;
}

export interface DemoReceiver extends AsyncDisposable {
  readonly url: string;
  /** By `webhook-id`. */
  readonly arrivals: ReadonlyMap<string, Arrival>;
  /** The endpoint's secret, known once the endpoint is made. */
  trust(secret: string): void;
  /** Resolves when `count` different ids have come. */
  whenArrived(count: number): Promise<void>;
}

export async function openDemoReceiver(clock: Clock, onArrival: (count: number) => void): Promise<DemoReceiver> {
  const arrivals = new Map<string, Arrival>();
  let webhook: Webhook | null = null;
  let awaited: { readonly count: number; readonly resolve: () => void } | null = null;

  async function receive(request: InboundRequest): Promise<Response> {
    const at = clock.monotonic();
    const body = Buffer.from(await request.bytes());
    const headers = Object.fromEntries(SIGNED_HEADERS.map((name) => [name, request.headers.get(name) ?? ""]));
    const id = headers["webhook-id"] ?? "";
    const before = arrivals.get(id);
    arrivals.set(id, {
      firstAt: before?.firstAt ?? at,
      isVerified: isVerified(webhook, body, headers) && (before?.isVerified ?? true),
      body,
      times: (before?.times ?? 0) + 1,
    });
    onArrival(arrivals.size);
    if (awaited !== null && arrivals.size >= awaited.count) awaited.resolve();
    return new Response(null, { status: 204 });
  }

  const listening = await serveHttp({
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    portSetting: "PORT",
    connectionsMax: CONNECTIONS_MAX,
    fetch: receive,
  });
  return {
    url: listening.url,
    arrivals,
    trust(secret) {
      webhook = new Webhook(secret);
    },
    whenArrived(count) {
      if (arrivals.size >= count) return Promise.resolve();
      return new Promise((resolve) => {
        awaited = { count, resolve };
      });
    },
    [Symbol.asyncDispose]: () => listening.kill(),
  };
}

function isVerified(webhook: Webhook | null, body: Buffer, headers: Record<string, string>): boolean {
  try {
    webhook?.verify(body, headers);
    return webhook !== null;
  } catch {
    return false;
  }
}

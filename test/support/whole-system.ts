/** The whole of Posthaste in one process over real HTTP: gateway, processor, embedded drivers, the real transport. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { ProcessorLimits } from "@posthaste/processor/limits.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { AddressResolver } from "@posthaste/shared/drivers/http/resolver.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";

const KEY = "whole_system_key_0123456789abcdef";

export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** As far as tests read it; see docs/api.md. */
export interface EventView {
  readonly id: string;
  readonly state: string;
  readonly deliveries: readonly {
    readonly endpoint_id: string;
    readonly state: string;
    readonly reason: string | null;
    readonly attempt_count: number;
    readonly next_attempt_at: string | null;
    readonly attempts: readonly {
      attempt: number;
      status?: number;
      fault?: string;
      response?: { excerpt: string; is_cut: boolean } | null;
    }[];
  }[];
}

export interface WholeSystem extends AsyncDisposable {
  call<Body>(method: string, path: string, body?: unknown): Promise<Answer<Body>>;
  /** Creates an endpoint; its id and secret. */
  endpoint(url: string, settings?: object): Promise<{ id: string; secret: string }>;
  /** Publishes and returns the event's id; fails unless answered 202. */
  publish(event: object): Promise<string>;
  /** Asks for the event until `isSo`, and returns it. */
  until(id: string, isSo: (event: EventView) => boolean): Promise<EventView>;
}

export async function openWholeSystem(
  options: {
    allow?: string;
    limits?: Partial<ProcessorLimits>;
    resolve?: AddressResolver;
    transportClock?: Clock;
  } = {},
): Promise<WholeSystem> {
  const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
  const database = new DatabaseSync(":memory:");
  const drivers = openEmbedded({ ...ambient, sealer: createSealer(systemEntropy.bytes(32)), database });
  const allow = parseCidrs(options.allow ?? "127.0.0.0/8");
  const resolve = options.resolve === undefined ? {} : { resolve: options.resolve };
  const transport = openHttpTransport({
    clock: options.transportClock ?? systemClock,
    allow,
    connectionsMax: 64,
    ...resolve,
  });
  const shared = { ...ambient, drivers, transport, telemetry: silentTelemetry };
  const gateway = createGateway({ ...shared, collectMetrics: () => Promise.resolve(""), limits: DEFAULT_LIMITS });
  const processor = startProcessor({ ...shared, limits: { ...PROCESSOR_LIMITS, stopMs: 100, ...options.limits } });
  await drivers.apiKeys.save({
    id: "key_test",
    hash: hashApiKey(KEY, systemHasher),
    hint: "test",
    name: "test",
    tenant: null,
    scopes: ["publish", "manage", "read"],
    rateLimit: null,
    createdAtMs: 0,
    expiresAtMs: null,
    revokedAtMs: null,
  });

  const call = async <Body>(method: string, path: string, body?: unknown): Promise<Answer<Body>> => {
    const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await gateway.fetch(new Request(`http://gateway${path}`, { method, headers, ...sent }));
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: (text === "" ? null : JSON.parse(text)) as Body };
  };

  return {
    call,
    async endpoint(url, settings = {}) {
      const created = await call<{ id: string; secret: string }>("POST", "/v1/endpoints", { url, ...settings });
      assert.equal(created.status, 201, JSON.stringify(created.body));
      return created.body;
    },
    async publish(event) {
      const accepted = await call<{ id: string }>("POST", "/v1/events", event);
      assert.equal(accepted.status, 202, JSON.stringify(accepted.body));
      return accepted.body.id;
    },
    async until(id, isSo) {
      for (;;) {
        const { body } = await call<EventView>("GET", `/v1/events/${id}`);
        if (isSo(body)) return body;
        await new Promise((resume) => setImmediate(resume));
      }
    },
    async [Symbol.asyncDispose]() {
      gateway.stop();
      await processor.stop();
      await drivers[Symbol.asyncDispose]();
      await transport[Symbol.asyncDispose]();
      database.close();
    },
  };
}

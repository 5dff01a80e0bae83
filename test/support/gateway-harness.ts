/** A gateway under test: the real one on the real embedded drivers over a database in memory, with time by hand. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { createGateway } from "@posthaste/gateway/app.ts";
import type { Gateway } from "@posthaste/gateway/app.ts";
import { createDashboard } from "@posthaste/gateway/dashboard/dashboard.ts";
import type { GatewayLimits } from "@posthaste/gateway/request/deps.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { hashApiKey, keyHint, newApiKeySecret } from "@posthaste/shared/domain/api-key.ts";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { ERRORS } from "@posthaste/shared/domain/errors.ts";
import type { CatalogueRules } from "@posthaste/shared/domain/event-types.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";
import { PLAIN_PORTAL } from "@posthaste/shared/domain/portal-config.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { readQueues } from "@posthaste/shared/ports/queue-samples.ts";
import type { RetryItem } from "@posthaste/shared/ports/retry-queue.ts";
import type { Vetting } from "@posthaste/shared/ports/transport.ts";
import type { AcceptTelemetry } from "@posthaste/shared/telemetry/accept.ts";
import type { Fields, Log } from "@posthaste/shared/telemetry/log.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { deliveryId } from "@posthaste/shared/domain/delivery.ts";
import { uplotSource } from "@posthaste/shared/runtime/uplot-source.ts";
import { assertDocumented } from "./documented-answers.ts";
import { seededEntropy, testHasher } from "./ambient.ts";
import type { ManualClock } from "./clocks/manual-clock.ts";
import { createManualClock } from "./clocks/manual-clock.ts";
import { START_MS } from "./samples.ts";

export const SEALER = createSealer(new Uint8Array(32).fill(7));

export interface Wish {
  readonly key?: string | null;
  /** Strings and bytes as they are; other values as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when it is empty or no JSON. */
  readonly json: unknown;
}

export interface GatewayHarness extends AsyncDisposable {
  readonly gateway: Gateway;
  /** The real set, without the wrapper under test. */
  readonly drivers: Drivers;
  readonly clock: ManualClock;
  /** Every scope, no limit. */
  readonly operatorKey: string;
  readonly logged: { event: string; fields: Fields }[];
  call(method: string, path: string, wish?: Wish): Promise<Answer>;
  /** Makes a key past the API. */
  createKey(parts: Partial<ApiKey>): Promise<string>;
  /** All that waits in a lane, taken for good. */
  takeLane(lane: Lane): Promise<readonly Envelope[]>;
  /** What is planned, taken for good once it is due. */
  takeDue(): Promise<readonly RetryItem[]>;
  /** Adds a dead letter for an endpoint, past the API. */
  addDeadLetter(parts: {
    endpointId: string;
    tenant?: string;
    acceptedAtMs?: number;
    deadLetter?: Partial<DeadLetter>;
  }): Promise<DeadLetter>;
}

export interface HarnessOptions {
  readonly limits?: Partial<GatewayLimits>;
  readonly wrap?: (drivers: Drivers) => Drivers;
  readonly vet?: (url: string, tenant: string, signal: AbortSignal) => Vetting | Promise<Vetting>;
  readonly collectMetrics?: () => Promise<string>;
  readonly portal?: Partial<PortalLook>;
  readonly catalogue?: CatalogueRules;
}

export async function openGatewayHarness(options: HarnessOptions = {}): Promise<GatewayHarness> {
  const clock = createManualClock(START_MS);
  const entropy = seededEntropy(1);
  const drivers = openEmbedded({
    clock,
    entropy,
    hasher: testHasher,
    sealer: SEALER,
    database: new DatabaseSync(":memory:"),
  });
  const logged: { event: string; fields: Fields }[] = [];
  const log = {
    isEnabled: () => true,
    write: (_level: string, event: string, fields: Fields) => void logged.push({ event, fields }),
  };
  const gateway = createGateway({
    drivers: options.wrap?.(drivers) ?? drivers,
    transport: { vet: async (...asked) => options.vet?.(...asked) ?? { kind: "allowed" } },
    clock,
    entropy,
    hasher: testHasher,
    telemetry: { ...silentTelemetry, log, accept: failuresTo(log) },
    collectMetrics: options.collectMetrics ?? (async () => "posthaste_events_accepted 1\n"),
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    ...(options.catalogue === undefined ? {} : { catalogue: options.catalogue }),
    dashboard: createDashboard({
      sealer: SEALER,
      portal: { ...PLAIN_PORTAL, ...options.portal },
      uplot: uplotSource(),
      queues: () => readQueues(drivers, clock),
      alerts: () => drivers.alertBoard.read(),
    }),
  });
  const createKey = async (parts: Partial<ApiKey>): Promise<string> => {
    const secret = newApiKeySecret(entropy);
    await drivers.apiKeys.save({
      id: newId("key", clock.now(), entropy),
      hash: hashApiKey(secret, testHasher),
      hint: keyHint(secret),
      name: "test",
      tenant: null,
      scopes: ["publish", "manage", "read"],
      rateLimit: null,
      createdAtMs: clock.now(),
      expiresAtMs: null,
      revokedAtMs: null,
      ...parts,
    });
    return secret;
  };
  const operatorKey = await createKey({});
  return {
    gateway,
    drivers,
    clock,
    operatorKey,
    logged,
    createKey,
    call: (method, path, wish = {}) => send(gateway, method, path, { key: operatorKey, ...wish }),
    takeLane: (lane) => takeLane(drivers, clock, lane),
    takeDue: () => takeDue(drivers, clock),
    addDeadLetter: (parts) => addDeadLetter(drivers, clock, parts),
    [Symbol.asyncDispose]: () => drivers[Symbol.asyncDispose](),
  };
}

/** Of the answers those that a log names with a reason. */
function failuresTo(log: Log): AcceptTelemetry {
  return {
    ...silentTelemetry.accept,
    answered({ trace: _trace, ...request }) {
      if (request.reason !== null) log.write("error", "request.failed", request);
    },
  };
}

export async function send(gateway: Gateway, method: string, path: string, wish: Wish): Promise<Answer> {
  const { key, body, headers } = wish;
  const isRaw = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
  const request = new Request(`http://localhost${path}`, {
    method,
    headers: {
      ...(key === null || key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body), duplex: "half" }),
  });
  const response = await gateway.fetch(request);
  const text = await response.text();
  assertDocumented({ method, path }, { status: response.status, headers: response.headers, text });
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

/** The value at a path such as `errors.0.pointer`; undefined where there is none. */
export function at(json: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => {
    if (typeof value !== "object" || value === null) return undefined;
    return Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
  }, json);
}

export function textAt(json: unknown, path: string): string {
  const value = at(json, path);
  assert.equal(typeof value, "string", `${path} of ${JSON.stringify(json)}`);
  return String(value);
}

/** A problem as RFC 9457 and the error table want it. */
export function assertProblem(answer: Answer, status: number, code: ErrorCode): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(at(answer.json, "code"), code, answer.text);
  assert.equal(at(answer.json, "status"), status);
  assert.equal(ERRORS[code].status, status);
  assert.equal(at(answer.json, "title"), ERRORS[code].title);
  assert.match(textAt(answer.json, "type"), /^(?:urn:posthaste:problem:|https:\/\/iana\.org\/)/);
  assert.match(textAt(answer.json, "detail"), /\w.*[.?!]$/);
}

/** A problem that names exactly one place first: `#/pointer`, a header or a parameter. */
export function assertNames(answer: Answer, place: string): void {
  const first = at(answer.json, "errors.0");
  const named = at(first, "pointer") ?? at(first, "header") ?? at(first, "parameter");
  assert.equal(named, place, answer.text);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function takeLane(drivers: Drivers, clock: ManualClock, lane: Lane): Promise<readonly Envelope[]> {
  const { count } = await drivers.lanes.depth(lane);
  if (count === 0) return [];
  const signal = new AbortController().signal;
  await clock.settle();
  const items = await drivers.lanes.take(lane, count, signal);
  await drivers.lanes.ack(items);
  return items.map(({ envelope }) => envelope);
}

async function takeDue(drivers: Drivers, clock: ManualClock): Promise<readonly RetryItem[]> {
  const { count } = await drivers.retryQueue.depth();
  if (count === 0) return [];
  const items = await drivers.retryQueue.take(count, new AbortController().signal);
  await drivers.retryQueue.ack(items);
  await clock.settle();
  return items;
}

async function addDeadLetter(
  drivers: Drivers,
  clock: ManualClock,
  parts: { endpointId: string; tenant?: string; acceptedAtMs?: number; deadLetter?: Partial<DeadLetter> },
): Promise<DeadLetter> {
  const tenant = parts.tenant ?? "default";
  const acceptedAtMs = parts.acceptedAtMs ?? clock.now();
  const eventId = parts.deadLetter?.eventId ?? newId("evt", acceptedAtMs, seededEntropy(deadLetterSeed++));
  const body = new TextEncoder().encode(
    `{"type":"order.paid","timestamp":"2026-01-31T12:00:00.000Z","data":{"n":1e400}}`,
  );
  const key = { tenant, eventId, endpointId: parts.endpointId, generation: 0 };
  const deadLetter: DeadLetter = {
    ...key,
    id: deliveryId(key, acceptedAtMs, testHasher),
    state: "dead",
    reason: "answered 500",
    attempts: 10,
    atMs: clock.now(),
    envelope: {
      id: eventId,
      tenant,
      type: "order.paid",
      priority: "MEDIUM",
      acceptedAtMs,
      deliverAtMs: null,
      traceparent: null,
      tracestate: null,
      directoryVersion: 0,
      body,
    },
    ...parts.deadLetter,
  };
  await drivers.deadLetters.append([deadLetter]);
  return deadLetter;
}

let deadLetterSeed = 1000;

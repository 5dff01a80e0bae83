/**
 * A receiver: verifies each delivery as its owner should, tells what came, and answers 200 or as its
 * path says (`receiver-behaviour.ts`). What does not verify is answered 401.
 */
import type { Verification } from "@posthaste/shared/domain/signature.ts";
import { TOLERANCE_S, verifyMessage } from "@posthaste/shared/domain/signature.ts";
import type { Listening } from "@posthaste/shared/drivers/http/server/serve.ts";
import { CannotListen } from "@posthaste/shared/drivers/http/server/cannot-listen.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import type { Clock, Hasher } from "@posthaste/shared/lib/ambient.ts";
import { BEHAVIOUR_PATHS, behaviourOf } from "./receiver-behaviour.ts";

export interface Received {
  readonly atMs: number;
  /** The member `type` of the body, or "" when there is none. */
  readonly type: string;
  /** `webhook-id`, or "". */
  readonly id: string;
  readonly attempt: number;
  readonly bytes: number;
  readonly verification: Verification;
  /** What it is answered with; null: nothing, for ever. */
  readonly status: number | null;
}

export interface LocalReceiver extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
}

export interface LocalReceiverOptions {
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** True: another free port is taken when this one is busy. The caller says so to the reader. */
  readonly isPortWish: boolean;
  /** What the reader chooses the port by, for the error. */
  readonly portSetting: string;
  /** The same for the address; `HOST` unless it is given. */
  readonly hostSetting?: string;
  /** Keys of the endpoints whose URL has this path and query at the receiver. */
  readonly keysFor: (port: number, pathAndQuery: string) => Promise<readonly Uint8Array[]>;
  readonly onReceived: (received: Received) => void;
}

/** Dev delivers from the same process, whose descriptors are few on some machines. */
const CONNECTIONS_MAX = 256;

export async function openLocalReceiver(options: LocalReceiverOptions): Promise<LocalReceiver> {
  const stopping = new AbortController();
  const fetch = (request: InboundRequest): Promise<Response> =>
    receive(options, listening.port, request, stopping.signal);
  const listening = await listen(options, fetch);
  return {
    url: listening.url,
    port: listening.port,
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error("the receiver is stopping"));
      await listening.kill();
    },
  };
}

async function listen(
  options: LocalReceiverOptions,
  fetch: (request: InboundRequest) => Promise<Response>,
): Promise<Listening> {
  const { host, port, isPortWish, portSetting, hostSetting = "HOST" } = options;
  try {
    return await serveHttp({
      clock: systemClock,
      host,
      port,
      portSetting,
      hostSetting,
      connectionsMax: CONNECTIONS_MAX,
      fetch,
    });
  } catch (error) {
    if (!isPortWish || !(error instanceof CannotListen) || !error.isPortBusy) throw error;
    return await serveHttp({
      clock: systemClock,
      host,
      port: 0,
      portSetting,
      hostSetting,
      connectionsMax: CONNECTIONS_MAX,
      fetch,
    });
  }
}

async function receive(
  options: LocalReceiverOptions,
  port: number,
  request: InboundRequest,
  stopping: AbortSignal,
): Promise<Response> {
  const url = new URL(request.url);
  if (request.method !== "POST") {
    const help = `Posthaste's local receiver. Deliveries are POSTs; any path answers 200, and these answer otherwise:\n${BEHAVIOUR_PATHS}\n`;
    return new Response(help, { status: request.method === "GET" ? 200 : 405 });
  }
  const { clock, hasher, keysFor, onReceived } = options;
  const body = await request.bytes();
  const nowMs = clock.now();
  const { headers } = request;
  const id = headers.get("webhook-id");
  const verification = verifyMessage({
    id,
    timestamp: headers.get("webhook-timestamp"),
    signature: headers.get("webhook-signature"),
    body,
    keys: await keysFor(port, url.pathname + url.search),
    hasher,
    nowS: Math.floor(nowMs / 1000),
    toleranceS: TOLERANCE_S,
  });
  const attempt = Math.max(1, Number(headers.get("posthaste-attempt")) || 1);
  const behaviour = behaviourOf(url, attempt);
  const isVerified = verification.kind === "verified";
  const status = isVerified ? (behaviour.kind === "hang" ? null : behaviour.status) : 401;
  onReceived({ atMs: nowMs, type: typeOf(body), id: id ?? "", attempt, bytes: body.length, verification, status });
  if (verification.kind === "rejected") return new Response(`${verification.reason}\n`, { status: 401 });
  const ended = AbortSignal.any([request.signal, stopping]);
  if (behaviour.kind === "hang") return await untilEnded(ended);
  if (behaviour.afterMs > 0) await clock.sleep(behaviour.afterMs, ended).catch(() => undefined);
  const fields = behaviour.retryAfter === null ? undefined : { "retry-after": behaviour.retryAfter };
  return new Response(null, { status: behaviour.status, ...(fields === undefined ? {} : { headers: fields }) });
}

/** No answer while anybody waits for one. */
function untilEnded(ended: AbortSignal): Promise<Response> {
  return new Promise((resolve) => {
    const give = (): void => resolve(new Response(null, { status: 503 }));
    if (ended.aborted) return give();
    ended.addEventListener("abort", give, { once: true });
  });
}

function typeOf(body: Uint8Array): string {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(body));
    const isNamed =
      typeof parsed === "object" && parsed !== null && "type" in parsed && typeof parsed.type === "string";
    return isNamed ? String(parsed.type) : "";
  } catch {
    return "";
  }
}

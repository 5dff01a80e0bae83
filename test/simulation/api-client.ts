/** The way of publishers and owners to whichever process answers now; an answer may never come. */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Chance } from "./chance.ts";
import type { SlowBodies } from "./slow-bodies.ts";
import type { Trace } from "./trace.ts";

/** A process that answers requests. */
export interface Door {
  fetch(request: Request): Promise<Response>;
  readonly isAlive: () => boolean;
  onEnd(listener: () => void): void;
}

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: string;
  readonly idempotencyKey?: string;
}

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | null;
}

export interface ApiClient {
  /** Null: no answer came, and what became of the request is not known. */
  call(request: ApiRequest): Promise<Reply | null>;
  /** As `call`, until the answer says that it was done or that it never will be; null when patience ended. */
  insist(request: ApiRequest): Promise<Reply | null>;
  /** Calls that wait for their answer, or for their next try. */
  openCount(): number;
}

/** A caller gives up waiting after this. */
const PATIENCE_MS = 20_000;
const TRIES_MAX = 60;

export function createApiClient(options: {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly apiKey: string;
  readonly door: () => Door | null;
  readonly isReplyLost: () => boolean;
  readonly bodies: SlowBodies;
}): ApiClient {
  const { clock, chance, trace, door } = options;
  const never = new AbortController().signal;
  let open = 0;
  let callCount = 0;

  function call(request: ApiRequest): Promise<Reply | null> {
    const name = `call ${++callCount} ${request.method} ${request.path}`;
    return new Promise((resolve) => {
      let isOver = false;
      const end = (reply: Reply | null): void => {
        if (isOver) return;
        isOver = true;
        cancel();
        trace.note(`${name} -> ${reply === null ? "no answer" : `${reply.status} ${reply.text.slice(0, 300)}`}`);
        resolve(reply);
      };
      const cancel = clock.timer(PATIENCE_MS, () => end(null));
      clock.timer(chance.whole(0, 20), () => void arrive(request, end));
    });
  }

  async function arrive(request: ApiRequest, end: (reply: Reply | null) => void): Promise<void> {
    const server = door();
    const backMs = chance.whole(0, 20);
    let isOnItsWay = false;
    const later = (reply: Reply | null): void => {
      // What has left is not called back by the death of who sent it.
      if (!isOnItsWay) clock.timer(backMs, () => end(reply));
      isOnItsWay = true;
    };
    if (server === null) return later(null);
    server.onEnd(() => later(null));
    const isLost = options.isReplyLost();
    const way = request.body === undefined ? null : options.bodies.begin(request.path, request.body);
    const response = await server.fetch(requestOf(request, options.apiKey, way?.stream));
    const text = await response.text();
    if (way !== null) options.bodies.end(way, { status: response.status, text });
    if (!server.isAlive() || isLost) return;
    const retryAfter = response.headers.get("retry-after");
    later({ status: response.status, text, retryAfterMs: retryAfter === null ? null : Number(retryAfter) * 1000 });
  }

  async function counted<Result>(work: () => Promise<Result>): Promise<Result> {
    open++;
    try {
      return await work();
    } finally {
      open--;
    }
  }

  return {
    call: (request) => counted(() => call(request)),
    insist: (request) =>
      counted(async () => {
        for (let tries = 1; tries <= TRIES_MAX; tries++) {
          const reply = await call(request);
          if (reply !== null && !isWorthAnotherTry(reply)) return reply;
          await clock.sleep(Math.max(chance.magnitude(50, 5000), reply?.retryAfterMs ?? 0), never);
        }
        return null;
      }),
    openCount: () => open,
  };
}

/** 409 is both: still running, which passes, and taken by another event, which does not. */
function isWorthAnotherTry({ status, text }: Reply): boolean {
  if (status === 409) return text.includes("request-in-flight");
  return status === 429 || status >= 500;
}

function requestOf(
  { method, path, idempotencyKey }: ApiRequest,
  apiKey: string,
  body: ReadableStream<Uint8Array> | string | undefined,
): Request {
  const headers: Record<string, string> = { authorization: `Bearer ${apiKey}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (typeof body === "string") headers["content-length"] = String(new TextEncoder().encode(body).length);
  if (idempotencyKey !== undefined) headers["idempotency-key"] = idempotencyKey;
  return new Request(`http://posthaste.example${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

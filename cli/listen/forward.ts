/** One event to the URL of a developer: the very bytes that an endpoint gets, signed by Standard Webhooks, once. */
import type { Client, EventStatus } from "@posthaste/client/public.ts";
import { NoAnswerError, ProblemError } from "@posthaste/client/public.ts";
import type { Surroundings } from "@posthaste/client/public.ts";
import { USER_AGENT } from "@posthaste/shared/domain/message.ts";
import { signMessage } from "@posthaste/shared/domain/signature.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import { dataTextIn } from "../api/data-text.ts";
import { pause } from "../api/pause.ts";
import type { Arrival } from "./inbox.ts";

export type Loaded =
  | { readonly kind: "body"; readonly body: Uint8Array<ArrayBuffer> }
  /** It cannot be read: it is not kept, or the key may not see it. */
  | { readonly kind: "gone"; readonly why: string };

export type Forwarded =
  | { readonly kind: "answered"; readonly status: number; readonly durationMs: number }
  | { readonly kind: "fault"; readonly fault: string; readonly durationMs: number };

/** As an endpoint's receiver has. */
const ANSWER_MS_MAX = 30_000;
/** An event is in the tail a little before it can be read from a store that is asked over a network. */
const NOT_THERE_YET_MS = [100, 200, 400, 800, 1600] as const;
const AGAIN_MS = 2000;

const encoder = new TextEncoder();

/** Waits for a gateway that is away as long as it takes; never rejects but by the signal. */
export async function loadBody(
  client: Client,
  { tenant, id }: Arrival,
  { clock, signal }: Pick<Surroundings, "clock"> & { readonly signal: AbortSignal },
): Promise<Loaded> {
  for (let misses = 0; ;) {
    try {
      const answer = await client.events.getText(id, { include: ["data"], tenant, signal });
      const { type, timestamp } = JSON.parse(answer) as EventStatus;
      const text = `{"type":"${type}","timestamp":"${timestamp}","data":${dataTextIn(answer)}}`;
      return { kind: "body", body: encoder.encode(text) };
    } catch (error) {
      if (signal.aborted) throw error;
      const isAway = error instanceof NoAnswerError || (error instanceof ProblemError && error.status >= 500);
      const isMissing = error instanceof ProblemError && error.status === 404;
      const waitMs = isAway ? AGAIN_MS : isMissing ? NOT_THERE_YET_MS[misses++] : undefined;
      if (waitMs === undefined) return { kind: "gone", why: error instanceof Error ? error.message : String(error) };
      await pause(clock, waitMs, signal);
    }
  }
}

export async function forward(
  message: {
    readonly url: string;
    readonly id: string;
    readonly body: Uint8Array<ArrayBuffer>;
    readonly key: Uint8Array;
  },
  {
    surroundings,
    hasher,
    signal,
  }: { readonly surroundings: Surroundings; readonly hasher: Hasher; readonly signal: AbortSignal },
): Promise<Forwarded> {
  const { clock } = surroundings;
  const { url, id, body, key } = message;
  const timestampS = Math.floor(clock.now() / 1000);
  const startedAt = clock.monotonic();
  const durationMs = (): number => Math.round(clock.monotonic() - startedAt);
  const ending = new AbortController();
  const stopTimer = clock.timer(ANSWER_MS_MAX, () => ending.abort());
  try {
    const response = await surroundings.fetch(url, {
      method: "POST",
      redirect: "manual",
      signal: AbortSignal.any([signal, ending.signal]),
      headers: {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": id,
        "webhook-timestamp": String(timestampS),
        "webhook-signature": signMessage({ id, timestampS, body, keys: [key], hasher }),
        "posthaste-attempt": "1",
      },
      body,
    });
    const answered = { kind: "answered", status: response.status, durationMs: durationMs() } as const;
    await response.body?.cancel();
    return answered;
  } catch (error) {
    const fault = ending.signal.aborted ? `no answer within ${ANSWER_MS_MAX / 1000} s` : faultOf(error);
    return { kind: "fault", fault, durationMs: durationMs() };
  } finally {
    stopTimer();
  }
}

function faultOf(error: unknown): string {
  const { code, cause } = (error ?? {}) as { readonly code?: unknown; readonly cause?: { readonly code?: unknown } };
  const name = typeof code === "string" ? code : cause?.code;
  if (name === "ECONNREFUSED" || name === "ConnectionRefused") return "nothing listens there";
  return error instanceof Error ? error.message : String(error);
}

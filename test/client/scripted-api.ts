/** An API that answers by a script, and a client of it on a clock by hand. */
import type { Client, ClientOptions } from "@posthaste/client/public.ts";
import { createClient } from "@posthaste/client/public.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import type { ManualClock } from "../support/clocks/manual-clock.ts";
import { START_MS } from "../support/samples.ts";

export interface Sent {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string | null;
  readonly atMs: number;
}

/** What one request comes to: an answer, a failure, or nothing at all until it is aborted. */
export type Step = Response | Error | "silence";

export interface ScriptedApi {
  readonly client: Client;
  readonly clock: ManualClock;
  /** Requests so far; `atMs` counts from the first. */
  readonly sent: readonly Sent[];
}

export const PUBLISHED = { id: "evt_1", lane: "medium", status_url: "/v1/events/evt_1" };

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
}

export function problem(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Response {
  const type = `urn:posthaste:problem:${code}`;
  const body = {
    type,
    title: "A title",
    status,
    detail: "A detail.",
    code,
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
  };
  return json(status, body, { "content-type": "application/problem+json", ...headers });
}

/** Each request takes the next step; one past the last is a failure that says so. Chance is 0: each wait is its shortest. */
export function openScriptedApi(steps: readonly Step[], options: Partial<ClientOptions> = {}): ScriptedApi {
  const clock = createManualClock(START_MS);
  const sent: Sent[] = [];
  let keys = 0;
  const answer = async (url: string, init: RequestInit): Promise<Response> => {
    const { method = "GET", body = null } = init;
    sent.push({
      method,
      url,
      headers: new Headers(init.headers),
      body: typeof body === "string" ? body : null,
      atMs: clock.monotonic(),
    });
    const step = steps[sent.length - 1] ?? new Error("the script has no further step");
    if (step instanceof Error) throw step;
    return step === "silence" ? new Promise(() => {}) : step;
  };
  const client = createClient({
    url: "http://api.test/",
    apiKey: "phk_test",
    fetch: answer,
    clock,
    random: () => 0,
    newIdempotencyKey: () => `key-${++keys}`,
    ...options,
  });
  return { client, clock, sent };
}

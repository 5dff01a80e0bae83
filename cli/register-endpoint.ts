/**
 * Makes a receiver known to a gateway as an endpoint. Its secret follows from the API key and the URL, so that a receiver that
 * comes back verifies what the endpoint signs without having kept anything.
 */
import { createHmac } from "node:crypto";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";

export interface Registration {
  /** The origin of the gateway, such as `http://gateway:8080`. */
  readonly gateway: string;
  /** Where the gateway's processors reach the receiver. */
  readonly ownUrl: string;
  /** With the scopes `read` and `manage`. */
  readonly key: string;
}

/** A gateway that is not there yet is asked again for so long. */
const WITHIN_MS = 60_000;
const AGAIN_MS = 1000;
const ANSWER_MS = 5000;
const PAGE = 100;

export function secretOf({ key, ownUrl }: Pick<Registration, "key" | "ownUrl">): string {
  return `whsec_${createHmac("sha256", key).update(`receiver\n${ownUrl}`).digest("base64")}`;
}

/** The id of the endpoint, made now unless there is one of this URL. Rejects with one sentence and its remedy. */
export async function registerEndpoint(registration: Registration, clock: Pick<Clock, "monotonic" | "sleep">) {
  const untilMs = clock.monotonic() + WITHIN_MS;
  const stay = new AbortController().signal;
  for (;;) {
    const made = await findOrMake(registration).catch((error: unknown) => error);
    if (typeof made === "string") return made;
    const isLate = clock.monotonic() > untilMs;
    if (!(made instanceof NotThere) || isLate) throw made;
    await clock.sleep(AGAIN_MS, stay);
  }
}

async function findOrMake(registration: Registration): Promise<string> {
  const { ownUrl } = registration;
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await ask(registration, "GET", `/v1/endpoints?limit=${PAGE}${more}`);
    const found = (page["data"] as readonly Named[]).find(({ url }) => url === ownUrl);
    if (found !== undefined) return found.id;
    cursor = page["next_cursor"] as string | null;
  } while (cursor !== null);
  const endpoint = { url: ownUrl, secret: secretOf(registration), description: "posthaste receiver" };
  return String((await ask(registration, "POST", "/v1/endpoints", endpoint))["id"]);
}

interface Named {
  readonly id: string;
  readonly url: string;
}

/** Nobody answers there, or says that it cannot yet. */
class NotThere extends Error {}

async function ask({ gateway, key }: Registration, method: "GET" | "POST", path: string, body?: unknown) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const text = body === undefined ? null : JSON.stringify(body);
  const request = { method, headers, body: text, signal: AbortSignal.timeout(ANSWER_MS) };
  const response = await fetch(new URL(path, gateway), request).catch(() => null);
  if (response === null) throw new NotThere(`no gateway answers at ${gateway}`);
  const answer = (await response.json().catch(() => ({}))) as Readonly<Record<string, unknown>>;
  if (response.ok) return answer;
  const why = `${gateway} answered ${response.status}: ${wordsOf(answer)}`;
  throw response.status === 503 ? new NotThere(why) : new Error(why);
}

/** Of a problem (RFC 9457). */
interface Problem {
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly detail?: string }[];
}

function wordsOf({ detail, title, errors }: Problem): string {
  return [detail ?? title ?? "no reason", errors?.[0]?.detail ?? ""].join(" ").trim();
}

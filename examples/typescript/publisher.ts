/**
 * Publishes one event: `publisher.ts invoice.paid '{"invoice":"in_1001"}'`.
 * Settings: POSTHASTE_KEY (needed), POSTHASTE_URL (http://127.0.0.1:8080).
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const TRIES_MAX = 5;
const ANSWER_MS_MAX = 15_000;
const PAUSE_S_MAX = 30;

const { POSTHASTE_URL: url = "http://127.0.0.1:8080", POSTHASTE_KEY: key } = process.env;

interface NewEvent {
  /** Chosen once for the event and sent with every try, so that an event which was taken already is not taken twice. */
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
}

async function post(event: NewEvent): Promise<Response | Error> {
  try {
    return await fetch(`${url}/v1/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Resolves when Posthaste has the event for certain. What may pass is tried again, what is wrong is not. */
async function publish(event: NewEvent): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const answer = await post(event);
    if (answer instanceof Response && answer.status === 202) return await answer.text();
    const mayPass = answer instanceof Error || answer.status === 429 || answer.status >= 500;
    const words = answer instanceof Error ? answer.message : `${answer.status} ${await answer.text()}`;
    if (!mayPass || attempt === TRIES_MAX) throw new Error(words);
    const askedS = answer instanceof Error ? Number.NaN : Number(answer.headers.get("retry-after") ?? Number.NaN);
    await sleep(1000 * Math.min(askedS || 2 ** attempt, PAUSE_S_MAX));
  }
}

const [type = "invoice.paid", data = '{"invoice":"in_1001","amount":12.5}'] = process.argv.slice(2);
if (key === undefined) {
  console.error("POSTHASTE_KEY is needed: an API key with the scope `publish`");
  process.exitCode = 2;
} else {
  console.log("published", await publish({ id: randomUUID(), type, data: JSON.parse(data) as unknown }));
}

/**
 * Receives deliveries and verifies each one by the rules of Standard Webhooks, with nothing but `node:`.
 * Settings: WEBHOOK_SECRET (needed, `whsec_...`), PORT (8082; 0 takes a free one).
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";

const TOLERANCE_S = 5 * 60;
/** An event has up to 256 KiB, a batch up to 512 KiB. */
const BODY_BYTES_MAX = 1024 * 1024;
const IDS_KEPT = 10_000;

const { WEBHOOK_SECRET: secret = "", PORT: port = "8082" } = process.env;
if (!secret.startsWith("whsec_")) throw new Error("WEBHOOK_SECRET is needed: whsec_ and the key in base64");
const key = Buffer.from(secret.slice("whsec_".length), "base64");
/** A delivery may come twice. A real receiver keeps these ids beside what it did because of them. */
const seen = new Set<string>();

/** Null when the delivery is genuine and of now, else what is wrong with it. */
function faultOf(headers: IncomingMessage["headers"], body: Buffer): string | null {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (typeof id !== "string" || typeof timestamp !== "string" || typeof signatures !== "string")
    return "a webhook header is missing";
  if (!/^\d{1,12}$/.test(timestamp)) return "the timestamp is not a number";
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_S) return "the timestamp is too far from now";
  // The bytes as they came: parsed and written again they would be others.
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  // Several when the secret was rotated: one that fits is enough.
  const isGenuine = signatures.split(" ").some((signature) => {
    const [version, text = ""] = signature.split(",");
    const given = Buffer.from(text, "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
  return isGenuine ? null : "no signature fits";
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function isNew(id: string): boolean {
  if (seen.has(id)) return false;
  const [oldest] = seen;
  if (seen.size >= IDS_KEPT && oldest !== undefined) seen.delete(oldest);
  seen.add(id);
  return true;
}

async function statusFor(request: IncomingMessage): Promise<number> {
  if (request.method !== "POST") return 405;
  const body = await bodyOf(request);
  if (body === null) return 413;
  const fault = faultOf(request.headers, body);
  if (fault !== null) {
    console.log(`refused: ${fault}`);
    return 401;
  }
  const id = String(request.headers["webhook-id"]);
  const event = JSON.parse(body.toString("utf8")) as { readonly type: string; readonly data: unknown };
  // Answer soon: real work belongs behind a queue of your own, and a slow answer counts as a failure.
  console.log(isNew(id) ? `verified ${event.type} ${id} ${JSON.stringify(event.data)}` : `known already ${id}`);
  return 204;
}

const server = createServer((request, response) => {
  statusFor(request).then(
    (status) => response.writeHead(status).end(),
    (error: unknown) => {
      console.error(error);
      response.writeHead(500).end();
    },
  );
});
server.listen(Number(port), "127.0.0.1", () => {
  const address = server.address();
  console.log(`receiving at http://127.0.0.1:${typeof address === "object" ? address?.port : port}/`);
});

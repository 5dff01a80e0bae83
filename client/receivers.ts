/** Verified webhooks in `fetch` handlers and in Hono, Express and Fastify: each keeps the body as it came. */
import type { Webhook, VerifyOptions } from "./verify.ts";
import { RefusedWebhookError, verify } from "./verify.ts";

/**
 * Does what the webhook asks for, soon; 204 is answered when it resolves. When it rejects the server's own handling of errors
 * answers, which should be a 500: the webhook comes again.
 */
export type OnWebhook = (webhook: Webhook) => void | Promise<void>;

export interface ReceiverOptions extends VerifyOptions {
  /** Of a body: 1 to 16,777,216, 1,048,576 by default. Posthaste sends 512 KiB at most. */
  readonly bytesMax?: number | undefined;
}

const BYTES_MAX = 1024 * 1024;
const BYTES_MAX_MAX = 16 * 1024 * 1024;

/** A handler for `Bun.serve`, `Deno.serve`, and routers that hand over a `Request`. */
export function fetchReceiver(options: ReceiverOptions, onWebhook: OnWebhook): (request: Request) => Promise<Response> {
  const bytesMax = bytesMaxOf(options);
  return async (request) => {
    if (request.method !== "POST") return new Response(null, { status: 405, headers: { allow: "POST" } });
    if (request.bodyUsed) throw readAlready("read the body after it, or a clone of the request");
    const body = request.body === null ? new Uint8Array() : await bytesIn(request.body, bytesMax);
    const { status, text } = await outcomeOf(body, request.headers, options, onWebhook);
    return new Response(text, { status });
  };
}

/** As far as Hono's `Context` is used. */
export interface HonoContext {
  readonly req: { readonly raw: Request };
}

/** `app.post("/hooks", honoReceiver({ secret }, onWebhook))`. */
export function honoReceiver(options: ReceiverOptions, onWebhook: OnWebhook): (c: HonoContext) => Promise<Response> {
  const receive = fetchReceiver(options, onWebhook);
  return (c) => receive(c.req.raw);
}

/** As far as Express's request is used; Node's own will do. */
export interface ExpressRequest extends AsyncIterable<unknown> {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly readableDidRead?: boolean;
  readonly body?: unknown;
}

/** As far as Express's response is used; Node's own will do. */
export interface ExpressResponse {
  statusCode: number;
  end(text?: string): unknown;
}

/**
 * `app.post("/hooks", expressReceiver({ secret }, onWebhook))`, ahead of `express.json()`, which would take the body;
 * `express.raw({ type: "*\/*" })` may be before it. What goes wrong here is given to `next`.
 */
export function expressReceiver(
  options: ReceiverOptions,
  onWebhook: OnWebhook,
): (request: ExpressRequest, response: ExpressResponse, next: (error?: unknown) => void) => void {
  const bytesMax = bytesMaxOf(options);
  const receive = async (request: ExpressRequest, response: ExpressResponse): Promise<void> => {
    const { body, headers } = request;
    const isRaw = body instanceof Uint8Array;
    if (!isRaw && request.readableDidRead === true) throw readAlready("put this handler ahead of express.json()");
    const bytes = isRaw ? body : await bytesIn(request, bytesMax);
    const { status, text } = await outcomeOf(bytes, headers, options, onWebhook);
    response.statusCode = status;
    response.end(text ?? undefined);
  };
  return (request, response, next) => void receive(request, response).catch(next);
}

/** As far as Fastify's instance is used. */
export interface FastifyScope {
  removeAllContentTypeParsers(): void;
  addContentTypeParser(
    contentType: string,
    options: { parseAs: "buffer"; bodyLimit: number },
    parser: (request: unknown, body: Uint8Array, done: (error: Error | null, body?: unknown) => void) => void,
  ): unknown;
  post(path: string, handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>): unknown;
}

export interface FastifyRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

export interface FastifyReply {
  code(status: number): { send(text?: string): unknown };
}

/**
 * A plugin: `app.register(fastifyReceiver("/hooks", { secret }, onWebhook))`. Bodies are left unparsed within it alone. Fastify
 * itself answers 413.
 */
export function fastifyReceiver(
  path: string,
  options: ReceiverOptions,
  onWebhook: OnWebhook,
): (scope: FastifyScope) => Promise<void> {
  const bodyLimit = bytesMaxOf(options);
  return async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer", bodyLimit }, (_request, body, done) => done(null, body));
    scope.post(path, async ({ body, headers }, reply) => {
      const bytes = body instanceof Uint8Array ? body : new Uint8Array();
      const { status, text } = await outcomeOf(bytes, headers, options, onWebhook);
      return reply.code(status).send(text ?? undefined);
    });
  };
}

interface Outcome {
  readonly status: number;
  readonly text: string | null;
}

/** `null`: the body is larger than allowed. */
async function outcomeOf(
  body: Uint8Array | null,
  headers: Parameters<typeof verify>[1],
  options: ReceiverOptions,
  onWebhook: OnWebhook,
): Promise<Outcome> {
  if (body === null) return { status: 413, text: "the body is too large\n" };
  try {
    await onWebhook(await verify(body, headers, options));
  } catch (error) {
    if (!(error instanceof RefusedWebhookError)) throw error;
    return { status: error.code === "invalid-body" ? 400 : 401, text: `${error.message}\n` };
  }
  return { status: 204, text: null };
}

/** Null when there are more than `bytesMax`. */
async function bytesIn(pieces: AsyncIterable<unknown>, bytesMax: number): Promise<Uint8Array | null> {
  const read: Uint8Array[] = [];
  let length = 0;
  for await (const piece of pieces) {
    if (!(piece instanceof Uint8Array)) throw readAlready("do not set an encoding on it");
    length += piece.length;
    if (length > bytesMax) return null;
    read.push(piece);
  }
  const bytes = new Uint8Array(length);
  let place = 0;
  for (const piece of read) {
    bytes.set(piece, place);
    place += piece.length;
  }
  return bytes;
}

function bytesMaxOf({ bytesMax = BYTES_MAX }: ReceiverOptions): number {
  if (bytesMax >= 1 && bytesMax <= BYTES_MAX_MAX) return bytesMax;
  throw new TypeError(`bytesMax must be a number from 1 to ${BYTES_MAX_MAX}`);
}

function readAlready(remedy: string): TypeError {
  return new TypeError(`the body was read or parsed before it could be verified: ${remedy}`);
}

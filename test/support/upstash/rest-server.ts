/**
 * Upstash's REST protocol over any Redis, for tests and development (https://upstash.com/docs/redis/features/restapi): a command
 * as JSON or as a path, `/pipeline`, `/multi-exec`, `/subscribe` as server-sent events, and replies in base64 when they are asked
 * for. Not here: RESP2 replies, `/monitor`, read-only tokens.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";

import { listen, readThen } from "../receiver.ts";
import type { RestCommand, RestRedis, RestReply } from "./rest-redis.ts";
import { Refusal } from "./rest-redis.ts";

export interface RestServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string;
  /** Requests since the start. */
  requestCount(): number;
}

/** Each of Upstash's plans has such a bound. */
export const REQUEST_BYTES_MAX = 10 * 1024 * 1024;
const METHODS = new Set(["HEAD", "GET", "POST", "PUT"]);
/** What would hold up the one connection that all share, or change it. */
const NOT_AVAILABLE = new Set(
  (
    "AUTH BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT DISCARD EXEC HELLO MONITOR MULTI PSUBSCRIBE " +
    "PUNSUBSCRIBE QUIT RESET SELECT SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE UNSUBSCRIBE UNWATCH WAIT WATCH"
  ).split(" "),
);
/** A flag of Upstash's that a plain Redis refuses; a script runs without the line just as well. */
const UPSTASH_FLAGS = /^#!lua flags=allow-key-locking\n/u;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** `redis` stays the caller's to dispose, after the server. */
export async function openRestServer(options: {
  readonly redis: RestRedis;
  readonly token: string;
}): Promise<RestServer> {
  const { redis, token } = options;
  let requestCount = 0;

  async function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    requestCount += 1;
    const url = new URL(request.url ?? "/", "http://localhost");
    const path = url.pathname.split("/").filter((segment) => segment !== "");
    const refused = refusalOfRequest(request, url, body, token);
    if (refused !== null) return send(response, refused);
    const [place, channel] = path;
    if (place === "subscribe" && channel !== undefined) {
      return await streamMessages(redis, response, decodeURIComponent(channel));
    }
    const isBase64 = request.headers["upstash-encoding"] === "base64";
    send(response, await answerTo(redis, { path, query: url.searchParams, body, isBase64 }));
  }

  const server = createServer(
    readThen((request, response, body) => {
      answer(request, response, body).catch((error: unknown) => send(response, errorAnswer(error)));
    }),
  );
  const listening = await listen(server, () => server.closeAllConnections());
  return {
    url: new URL(listening.url).origin,
    token,
    requestCount: () => requestCount,
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}

function refusalOfRequest(request: IncomingMessage, url: URL, body: Buffer, token: string): Answer | null {
  if (!METHODS.has(request.method ?? "")) return { status: 405, body: { error: "ERR method not allowed" } };
  const isOurs = request.headers.authorization === `Bearer ${token}` || url.searchParams.get("_token") === token;
  if (!isOurs) return { status: 401, body: { error: "WRONGPASS invalid or missing auth token" } };
  if (body.length <= REQUEST_BYTES_MAX) return null;
  const counts = `Limit: ${REQUEST_BYTES_MAX} bytes, Actual: ${body.length} bytes`;
  return { status: 400, body: { error: `ERR max request size exceeded. ${counts}` } };
}

interface Asked {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly body: Buffer;
  readonly isBase64: boolean;
}

async function answerTo(redis: RestRedis, { path, query, body, isBase64 }: Asked): Promise<Answer> {
  const result = (reply: RestReply | Refusal): unknown =>
    reply instanceof Refusal ? { error: reply.message } : { result: encode(reply, isBase64) };
  const place = path.join("/");
  if (place === "pipeline") {
    const commands = parseCommands(body);
    const replies: (RestReply | Refusal)[] = [];
    for (const command of commands) replies.push(await runOne(redis, command).catch(keepRefusal));
    return { status: 200, body: replies.map(result) };
  }
  if (place === "multi-exec") {
    const replies = await redis.transaction(parseCommands(body).map(available));
    return { status: 200, body: replies.map(result) };
  }
  const command = place === "" ? parseCommand(parseJson(body)) : commandOfPath(path, query, body);
  return { status: 200, body: result(await runOne(redis, command)) };
}

async function runOne(redis: RestRedis, command: RestCommand): Promise<RestReply> {
  return await redis.run(available(command));
}

function keepRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  throw error;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    throw new Refusal("ERR failed to parse command");
  }
}

function parseCommands(body: Buffer): readonly RestCommand[] {
  const rows = parseJson(body);
  if (!Array.isArray(rows) || rows.length === 0) throw new Refusal("ERR failed to parse pipeline request");
  return rows.map(parseCommand);
}

function parseCommand(row: unknown): RestCommand {
  if (!Array.isArray(row) || row.length === 0) throw new Refusal("ERR failed to parse command");
  return row.map((argument: unknown) => {
    if (typeof argument === "string") return argument;
    if (typeof argument === "number" || typeof argument === "boolean") return String(argument);
    throw new Refusal("ERR failed to parse command");
  });
}

/** `/set/foo?EX=100` with the value as the body, which may be any bytes. */
function commandOfPath(path: readonly string[], query: URLSearchParams, body: Buffer): RestCommand {
  const further = [...query].filter(([name]) => name !== "_token").flat();
  return [
    ...path.map(decodeURIComponent),
    ...(body.length === 0 ? [] : [body]),
    ...further.filter((word) => word !== ""),
  ];
}

/** Throws for what nobody may ask of a connection that all share. */
function available(command: RestCommand): RestCommand {
  const name = String(command[0]).toUpperCase();
  if (NOT_AVAILABLE.has(name)) throw new Refusal(`ERR Command is not available: '${name}'`);
  const at = name === "EVAL" || name === "EVAL_RO" ? 1 : name === "SCRIPT" ? 2 : null;
  if (at === null) return command;
  return command.map((argument, index) => (index === at ? String(argument).replace(UPSTASH_FLAGS, "") : argument));
}

function encode(reply: RestReply, isBase64: boolean): unknown {
  if (Buffer.isBuffer(reply)) {
    const text = reply.toString("utf8");
    return isBase64 && text !== "OK" ? reply.toString("base64") : text;
  }
  return Array.isArray(reply) ? reply.map((part: RestReply) => encode(part, isBase64)) : reply;
}

/** What Redis refused is 400, as Upstash has it; that it cannot be reached is our own 503. */
function errorAnswer(error: unknown): Answer {
  const message = error instanceof Error ? error.message : "ERR failed";
  return { status: error instanceof Refusal ? 400 : 503, body: { error: message } };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function streamMessages(redis: RestRedis, response: ServerResponse, channel: string): Promise<void> {
  const tell = (event: readonly (string | number)[]): void => void response.write(`data: ${event.join(",")}\n\n`);
  const subscription = await redis.subscribe(channel, (message) => tell(["message", channel, message]));
  response.on("close", () => subscription[Symbol.dispose]());
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  tell(["subscribe", channel, 1]);
}

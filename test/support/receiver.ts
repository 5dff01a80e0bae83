/** Real servers on the loopback that play the receiver, and the transport that may reach them. */
import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { test } from "node:test";

import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import type { HttpClientChoice } from "@posthaste/shared/domain/config.ts";
import type { AttemptResult, Fault } from "@posthaste/shared/domain/attempt.ts";
import type { AddressResolver, Resolution } from "@posthaste/shared/drivers/http/resolver.ts";
import type { HttpTransportOptions } from "@posthaste/shared/drivers/http/transport.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { DeliveryRequest, Transport } from "@posthaste/shared/ports/transport.ts";

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

export interface RawReceiver extends Receiver {
  /** Counts up while the receiver runs. */
  readonly seen: { readonly sockets: number; readonly requests: number };
}

/** A signal that nobody aborts. */
export const running = new AbortController().signal;
/** The tenant of requests that name none. */
export const TENANT = "acme";
/** The smallest whole answer. */
export const OK_ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** Those that keep the transport's promises on this runtime. */
export const CLIENTS: readonly HttpClientChoice[] =
  process.versions["bun"] === undefined ? ["undici"] : ["runtime", "undici"];

/** node:test's `test`, flat, with the client in the name: subtests are not counted by every runtime. */
export function testWith(client: HttpClientChoice): (name: string, body: () => Promise<void> | void) => void {
  return (name, body) => void test(`${client}: ${name}`, body);
}

/** `openTransport` with one of the clients. */
export function openerOf(client: HttpClientChoice): typeof openTransport {
  return (options) => openTransport({ client, ...options });
}

/** The real transport, allowed to reach the loopback unless `options` say otherwise. */
export function openTransport(options: Partial<HttpTransportOptions> = {}): Transport {
  const allow = parseCidrs("127.0.0.0/8");
  return openHttpTransport({ clock: systemClock, allow, connectionsMax: 8, ...options });
}

/** A resolver that gives every name these addresses. */
export function answering(addresses: readonly string[]): AddressResolver {
  return () => Promise.resolve(found(addresses));
}

export function found(addresses: readonly string[], ttlMs = 60_000): Resolution {
  return { kind: "found", addresses, ttlMs };
}

/** A resolver that never answers, and does not end before it is told to. */
export const silentResolver: AddressResolver = () => new Promise(() => undefined);

export async function listen(server: Server, cut: () => void): Promise<Receiver> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}/hook`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => {
        server.close(resolve);
      });
      cut();
      await closed;
    },
  };
}

export type Answering = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

export function openReceiver(answer: Answering): Promise<Receiver> {
  const server = createHttpServer(readThen(answer));
  return listen(server, () => server.closeAllConnections());
}

/** Calls `answer` once the whole body is there. */
export function readThen(answer: Answering): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answer(request, response, Buffer.concat(chunks)));
  };
}

/** A server below HTTP: `onRequest` is called once for each request, counted from 1, whose body must be `{}`. */
export async function openRawReceiver(onRequest: (socket: Socket, nth: number) => void): Promise<RawReceiver> {
  const sockets = new Set<Socket>();
  const seen = { sockets: 0, requests: 0 };
  const server = createTcpServer((socket) => {
    let text = "";
    sockets.add(socket);
    seen.sockets += 1;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (!text.endsWith("\r\n\r\n{}")) return;
      text = "";
      seen.requests += 1;
      onRequest(socket, seen.requests);
    });
  });
  const receiver = await listen(server, () => {
    for (const socket of sockets) socket.destroy();
  });
  return { ...receiver, seen };
}

export function post(url: string, change: Partial<DeliveryRequest> = {}): DeliveryRequest {
  const headers = { "content-type": "application/json" };
  return {
    url,
    tenant: TENANT,
    headers,
    body: Buffer.from("{}"),
    timeoutMs: 5000,
    stopping: running,
    mayBegin: () => true,
    milestones: null,
    ...change,
  };
}

export function assertFault(result: AttemptResult, fault: Fault, detail: RegExp): void {
  assert.equal(result.kind, "fault", JSON.stringify(result));
  assert.equal(result.fault, fault, result.detail);
  assert.match(result.detail, detail);
  assert.ok(result.detail.length <= 500 && !result.detail.includes("\n"));
  assert.ok(result.durationMs >= 0);
}

export function assertAnswer(result: AttemptResult, status: number, bodyExcerpt: string): void {
  assert.equal(result.kind, "answered", JSON.stringify(result));
  assert.equal(result.status, status);
  assert.equal(result.bodyExcerpt, bodyExcerpt);
}

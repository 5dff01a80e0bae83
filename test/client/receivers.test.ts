/** The receivers in a plain fetch handler and in the real Hono, Express and Fastify: the body is verified as it came. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import express from "express";
import type { NextFunction, Request as ExpressRequest, RequestHandler, Response as ExpressResponse } from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { Webhook as Reference } from "standardwebhooks";
import { expressReceiver, fastifyReceiver, fetchReceiver, honoReceiver } from "@posthaste/client/public.ts";
import type { OnWebhook, ReceiverOptions, Webhook } from "@posthaste/client/public.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const NOW_MS = 1_770_000_000_000;
// Written again from what was parsed it has other bytes.
const BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"amount":12.50, "name":"Zoë"}}';
const OPTIONS: ReceiverOptions = { secret: SECRET, now: () => NOW_MS, bytesMax: 1000 };

interface Server extends AsyncDisposable {
  post(body: string, headers?: Readonly<Record<string, string>>, method?: string): Promise<Response>;
}

type Open = (onWebhook: OnWebhook) => Promise<Server>;

function signed(body: string): Readonly<Record<string, string>> {
  return {
    "content-type": "application/json",
    "webhook-id": "evt_1",
    "webhook-timestamp": String(NOW_MS / 1000),
    "webhook-signature": new Reference(SECRET).sign("evt_1", new Date(NOW_MS), body),
  };
}

function handlerServer(handle: (request: Request) => Response | Promise<Response>): Server {
  return {
    post: async (body, headers = signed(body), method = "POST") => {
      const request = new Request("http://localhost/hooks", {
        method,
        headers,
        ...(method === "POST" ? { body } : {}),
      });
      try {
        return await handle(request);
      } catch {
        // As servers do.
        return new Response(null, { status: 500 });
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function portServer(port: number, close: () => Promise<unknown>): Server {
  return {
    post: (body, headers = signed(body), method = "POST") =>
      fetch(`http://127.0.0.1:${port}/hooks`, { method, headers, ...(method === "POST" ? { body } : {}) }),
    async [Symbol.asyncDispose]() {
      await close();
    },
  };
}

const openFetch: Open = async (onWebhook) => handlerServer(fetchReceiver(OPTIONS, onWebhook));

const openHono: Open = async (onWebhook) => {
  const app = new Hono();
  app.post("/hooks", honoReceiver(OPTIONS, onWebhook));
  app.onError((_error, c) => c.text("", 500));
  return handlerServer((request) => app.fetch(request));
};

async function openExpress(handlers: readonly RequestHandler[]): Promise<Server> {
  const app = express();
  app.post("/hooks", ...handlers);
  // Express knows a handler of errors by its four parameters.
  app.use((error: unknown, _request: ExpressRequest, response: ExpressResponse, _next: NextFunction) => {
    response.status(500).end(String(error));
  });
  const server = createServer(app);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return portServer(port, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
}

const openFastify: Open = async (onWebhook) => {
  const app = fastify({ forceCloseConnections: true });
  await app.register(fastifyReceiver("/hooks", OPTIONS, onWebhook));
  app.post("/other", async ({ body }) => body);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return portServer((app.server.address() as AddressInfo).port, () => app.close());
};

const servers: readonly (readonly [string, Open])[] = [
  ["fetch", openFetch],
  ["Hono", openHono],
  ["Express", (onWebhook) => openExpress([expressReceiver(OPTIONS, onWebhook)])],
  ["Express after express.raw", (on) => openExpress([express.raw({ type: "*/*" }), expressReceiver(OPTIONS, on)])],
  ["Fastify", openFastify],
];

for (const [name, open] of servers) {
  test(`${name}: a genuine webhook is handed over and answered 204`, async () => {
    const received: Webhook[] = [];
    await using server = await open((webhook) => void received.push(webhook));
    const answer = await server.post(BODY);
    assert.deepEqual([answer.status, await answer.text()], [204, ""]);
    assert.deepEqual(received[0]?.events[0]?.data, { amount: 12.5, name: "Zoë" });
  });

  test(`${name}: what is not genuine is answered 401 with the reason, and handed to nobody`, async () => {
    let count = 0;
    await using server = await open(() => void count++);
    const tampered = await server.post(BODY.replace("12.50", "12.5"), signed(BODY));
    assert.equal(tampered.status, 401);
    assert.match(await tampered.text(), /^no signature fits: /);
    const bare = await server.post(BODY, { "content-type": "application/json" });
    assert.deepEqual([bare.status, await bare.text()], [401, "the header webhook-id is missing\n"]);
    const empty = await server.post("", signed(BODY));
    assert.equal(empty.status, 401);
    await empty.text();
    const strange = await server.post("[]");
    assert.equal(strange.status, 400);
    await strange.text();
    assert.equal(count, 0);
  });

  test(`${name}: a webhook that could not be worked on is answered 500, so that it comes again`, async () => {
    await using server = await open(() => Promise.reject(new Error("the database is away")));
    const answer = await server.post(BODY);
    assert.equal(answer.status, 500);
    await answer.text();
  });
}

for (const [name, open] of servers.filter(([each]) => each !== "Express after express.raw")) {
  test(`${name}: a body past the bound is answered 413`, async () => {
    await using server = await open(() => assert.fail("it was handed over"));
    const long = BODY.replace("Zoë", "x".repeat(1000));
    const answer = await server.post(long);
    assert.equal(answer.status, 413);
    await answer.text();
  });
}

test("fetch: another method than POST is answered 405", async () => {
  await using server = await openFetch(() => assert.fail("it was handed over"));
  const answer = await server.post("", {}, "GET");
  assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "POST"]);
});

test("Express: behind express.json() it says what to change", async () => {
  await using server = await openExpress([express.json(), expressReceiver(OPTIONS, () => assert.fail("handed over"))]);
  const answer = await server.post(BODY);
  assert.equal(answer.status, 500);
  assert.match(await answer.text(), /the body was read or parsed .*: put this handler ahead of express\.json\(\)/);
});

test("Hono and fetch: a body that was read before is named", async () => {
  const request = new Request("http://localhost/", { method: "POST", headers: signed(BODY), body: BODY });
  await request.text();
  await assert.rejects(fetchReceiver(OPTIONS, () => {})(request), /the body was read or parsed/);
});

test("Fastify: other routes go on parsing their bodies", async () => {
  const app = fastify();
  await app.register(fastifyReceiver("/hooks", OPTIONS, () => {}));
  app.post("/other", async ({ body }) => body);
  const answer = await app.inject({ method: "POST", url: "/other", payload: { a: 1 } });
  assert.deepEqual(answer.json(), { a: 1 });
  await app.close();
});

test("bounds of bodies are checked when the receiver is made", () => {
  for (const bytesMax of [0, 16 * 1024 * 1024 + 1, Number.NaN]) {
    assert.throws(() => fetchReceiver({ secret: SECRET, bytesMax }, () => {}), /^TypeError: bytesMax /);
  }
});

/** The transport's promises on answers and connections (`ports/transport.ts`), kept against real servers on the loopback. */
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";

import type { Fault } from "@posthaste/shared/domain/attempt.ts";
import { exchange } from "@posthaste/shared/drivers/http/exchange.ts";
import { SocketWatch } from "@posthaste/shared/drivers/http/watched-socket.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { waitingFor } from "@posthaste/shared/lib/on-abort.ts";

import {
  CLIENTS,
  OK_ANSWER,
  answering,
  assertAnswer,
  assertFault,
  openRawReceiver,
  openReceiver,
  openerOf,
  post,
  running,
  testWith,
} from "../../support/receiver.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

for (const client of CLIENTS) {
  const test = testWith(client);
  const openTransport = openerOf(client);

  test("send() brings the same bytes and header fields to the receiver and its answer back", async () => {
    const body = Uint8Array.from({ length: 1024 }, (_, index) => index & 255);
    let received: {
      method: string | undefined;
      url: string | undefined;
      headers: IncomingHttpHeaders;
      body: Buffer;
    } | null = null;
    await using receiver = await openReceiver((request, response, bytes) => {
      received = { method: request.method, url: request.url, headers: request.headers, body: bytes };
      response.writeHead(202).end("thanks");
    });
    await using transport = openTransport();
    const headers = { "content-type": "application/json", "webhook-id": "evt_1", "webhook-signature": "v1,a= v1,b=" };
    const result = await transport.send(
      post(`http://127.0.0.1:${receiver.port}/a%20b?c=d&e`, { headers, body }),
      running,
    );
    assert.equal(result.kind, "answered");
    assert.deepEqual(
      { ...result, durationMs: 0 },
      {
        kind: "answered",
        status: 202,
        retryAfter: null,
        bodyExcerpt: "thanks",
        isBodyCut: false,
        durationMs: 0,
      },
    );
    assert.ok(result.durationMs > 0 && result.durationMs < 5000);
    const { method, url, headers: fields, body: bytes } = received as unknown as NonNullable<typeof received>;
    assert.deepEqual([method, url], ["POST", "/a%20b?c=d&e"]);
    assert.deepEqual([...(bytes as Buffer)], [...body]);
    assert.deepEqual(
      { ...(fields as IncomingHttpHeaders) },
      {
        ...headers,
        host: `127.0.0.1:${receiver.port}`,
        connection: "keep-alive",
        "content-length": "1024",
      },
    );
  });

  test("send() does not follow a redirect", async () => {
    const paths: (string | undefined)[] = [];
    await using receiver = await openReceiver((request, response) => {
      paths.push(request.url);
      response.writeHead(301, { location: "/elsewhere" }).end();
    });
    await using transport = openTransport();
    assertAnswer(await transport.send(post(receiver.url), running), 301, "");
    assert.deepEqual(paths, ["/hook"]);
  });

  test("send() reports 4xx and 5xx as answers, with Retry-After as it was written", async () => {
    const values = ["120", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"];
    await using receiver = await openReceiver((request, response) => {
      const nth = Number(request.headers["webhook-id"]);
      response.writeHead([429, 503, 500][nth] ?? 0, { "retry-after": values[nth] }).end("no");
    });
    await using transport = openTransport();
    for (const [nth, status] of [429, 503, 500].entries()) {
      const result = await transport.send(post(receiver.url, { headers: { "webhook-id": `${nth}` } }), running);
      assertAnswer(result, status, "no");
      assert.equal(result.kind === "answered" && result.retryAfter, values[nth]);
    }
  });

  test("send() takes an answer without a body", async () => {
    await using receiver = await openReceiver((_request, response) => response.writeHead(204).end());
    await using transport = openTransport();
    assertAnswer(await transport.send(post(receiver.url), running), 204, "");
  });

  test("send() decodes neither content-encoding nor bytes that are not UTF-8", async () => {
    await using receiver = await openReceiver((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(Buffer.from([0x1f, 0x8b, 0x41]));
    });
    await using transport = openTransport();
    assertAnswer(await transport.send(post(receiver.url), running), 200, "\u001f\ufffdA");
  });

  test("send() passes over interim answers, but not over an endless row of them", async () => {
    const hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    await using receiver = await openRawReceiver((socket, nth) =>
      socket.write(hint.repeat(nth === 1 ? 2 : 50) + OK_ANSWER),
    );
    await using transport = openTransport();
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    assertFault(await transport.send(post(receiver.url), running), "bad-answer", /interim answers/);
  });

  test("send() ends at its deadline when the receiver says nothing", async () => {
    await using receiver = await openRawReceiver(() => undefined);
    await using transport = openTransport();
    const result = await transport.send(post(receiver.url, { timeoutMs: 150 }), running);
    assertFault(result, "timeout", /^no complete answer came within 150 ms$/);
    assert.ok(result.durationMs >= 145 && result.durationMs < 2000, `${result.durationMs}`);
  });

  test("send() ends at its total deadline when the receiver drips header fields", async () => {
    await using receiver = await openRawReceiver((socket) => {
      const drip = (): void => {
        if (socket.write("a")) systemClock.timer(10, drip);
      };
      socket.write("HTTP/1.1 200 OK\r\nx: ");
      drip();
    });
    await using transport = openTransport();
    const result = await transport.send(post(receiver.url, { timeoutMs: 150 }), running);
    assertFault(result, "timeout", /within 150 ms/);
    assert.ok(result.durationMs < 2000, `${result.durationMs}`);
  });

  test("send() cuts an endless body at 4096 bytes and closes the connection", async () => {
    let closed: (() => void) | undefined;
    const isClosed = new Promise<void>((resolve) => (closed = resolve));
    let written = 0;
    await using receiver = await openRawReceiver((socket) => {
      socket.on("close", () => closed?.());
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n");
      const flood = (): void => {
        while (!socket.destroyed && socket.write("b".repeat(16_384))) written += 16_384;
      };
      socket.on("drain", flood);
      flood();
    });
    await using transport = openTransport();
    const result = await transport.send(post(receiver.url), running);
    assertAnswer(result, 200, "b".repeat(4096));
    assert.equal(result.kind === "answered" && result.isBodyCut, true);
    await isClosed;
    assert.ok(written < 64 * 1024 * 1024, `${written} bytes were taken`);
  });

  test("send() keeps a body of exactly 4096 bytes whole and uses its connection again", async () => {
    await using receiver = await openRawReceiver((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n${"c".repeat(4096)}`);
    });
    await using transport = openTransport({ connectionsMax: 1 });
    for (let round = 0; round < 2; round++) {
      const result = await transport.send(post(receiver.url), running);
      assertAnswer(result, 200, "c".repeat(4096));
      assert.equal(result.kind === "answered" && result.isBodyCut, false);
    }
    assert.deepEqual(receiver.seen, { sockets: 1, requests: 2 });
  });

  test("send() uses a kept-alive connection again", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport({ connectionsMax: 1 });
    for (let round = 0; round < 5; round++) assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    assert.deepEqual(receiver.seen, { sockets: 1, requests: 5 });
  });

  test("send() opens no more than connectionsMax sockets for one origin", async () => {
    await using receiver = await openRawReceiver((socket) => systemClock.soon(() => socket.write(OK_ANSWER)));
    await using transport = openTransport({ connectionsMax: 2 });
    const results = await Promise.all(Array.from({ length: 12 }, () => transport.send(post(receiver.url), running)));
    for (const result of results) assertAnswer(result, 200, "ok");
    assert.deepEqual(receiver.seen, { sockets: 2, requests: 12 });
  });

  test("a request that waits for a socket ends at its own deadline and is never sent", async () => {
    await using receiver = await openRawReceiver((socket, nth) => nth > 1 && socket.write(OK_ANSWER));
    await using transport = openTransport({ connectionsMax: 1 });
    const hanging = transport.send(post(receiver.url, { timeoutMs: 300 }), running);
    assertFault(await transport.send(post(receiver.url, { timeoutMs: 100 }), running), "timeout", /within 100 ms/);
    assertFault(await hanging, "timeout", /within 300 ms/);
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    assert.equal(receiver.seen.requests, 2);
  });

  test("a new connection that breaks under a request is reported as reset and nothing is sent again", async () => {
    await using receiver = await openRawReceiver(
      (socket, nth) => void (nth === 1 ? socket.destroy() : socket.write(OK_ANSWER)),
    );
    await using transport = openTransport({ connectionsMax: 1 });
    assertFault(await transport.send(post(receiver.url), running), "reset", /closed|reset/);
    assert.deepEqual(receiver.seen, { sockets: 1, requests: 1 });
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    assert.deepEqual(receiver.seen, { sockets: 2, requests: 2 });
  });

  const brokenAnswers: readonly (readonly [string, string, Fault])[] = [
    ["ends before its declared length", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "reset"],
    ["ends within a chunked body", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf", "reset"],
    [
      "ends within a chunked body of a closing answer",
      "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
      "reset",
    ],
    ["is empty", "", "reset"],
    ["is not HTTP", "SSH-2.0-OpenSSH_9.6\r\n", "bad-answer"],
    [
      "has a chunk whose size is no number",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok",
      "bad-answer",
    ],
    [
      "switches protocols",
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      "bad-answer",
    ],
    [
      "has more than 64 KiB of header fields and is no 2xx",
      `HTTP/1.1 500 No\r\n${`x: ${"y".repeat(1000)}\r\n`.repeat(70)}\r\n`,
      "bad-answer",
    ],
  ];
  for (const [what, bytes, fault] of brokenAnswers) {
    test(`an answer that ${what} is ${fault}`, async () => {
      await using receiver = await openRawReceiver((socket) => socket.end(bytes, "latin1"));
      await using transport = openTransport();
      assertFault(await transport.send(post(receiver.url), running), fault, /\w/);
      assert.equal(receiver.seen.requests, 1);
    });
  }

  test("send() reports a refused connection", async () => {
    const receiver = await openRawReceiver(() => undefined);
    await receiver[Symbol.asyncDispose]();
    await using transport = openTransport();
    assertFault(await transport.send(post(receiver.url), running), "connect-refused", /refused/);
  });

  test("send() ends with aborted when its signal is aborted, before or during the request", async () => {
    const stop = new AbortController();
    await using receiver = await openRawReceiver(() => stop.abort());
    await using transport = openTransport();
    assertFault(await transport.send(post(receiver.url), stop.signal), "aborted", /stopping/);
    assertFault(await transport.send(post(receiver.url), stop.signal), "aborted", /stopping/);
    assert.equal(receiver.seen.requests, 1);
  });

  test("dispose ends requests under way with aborted and sends nothing after", async () => {
    let arrived: (() => void) | undefined;
    const isArrived = new Promise<void>((resolve) => (arrived = resolve));
    await using receiver = await openRawReceiver(() => arrived?.());
    const transport = openTransport();
    const hanging = transport.send(post(receiver.url), running);
    await isArrived;
    await transport[Symbol.asyncDispose]();
    await transport[Symbol.asyncDispose]();
    assertFault(await hanging, "aborted", /stopping/);
    assertFault(await transport.send(post(receiver.url), running), "aborted", /stopping/);
    assert.equal(receiver.seen.requests, 1);
  });

  test("send() does not throw for a URL or a header that cannot be sent", async () => {
    await using transport = openTransport();
    for (const url of ["", "nonsense", "ftp://127.0.0.1/", "http://"]) {
      assertFault(await transport.send(post(url), running), "unreachable", /URL/);
    }
    const headers = { "x-a": "line\r\nbreak: 1" };
    assertFault(
      await transport.send(post("http://127.0.0.1:9/", { headers }), running),
      "unreachable",
      /written as HTTP/,
    );
  });

  test("sockets of idle origins are closed, longest unused first, when socketsMax are open", async () => {
    const closedPorts: string[] = [];
    let closed: (() => void) | undefined;
    const isClosed = new Promise<void>((resolve) => (closed = resolve));
    await using receiver = await openReceiver((request, response) => {
      request.socket.once("close", () => {
        closedPorts.push(request.headers.host ?? "");
        closed?.();
      });
      response.end("ok");
    });
    await using transport = openTransport({ socketsMax: 2, resolve: answering(["127.0.0.1"]) });
    for (const name of ["a", "b", "c"]) {
      assertAnswer(await transport.send(post(`http://${name}.test:${receiver.port}/`), running), 200, "ok");
    }
    // The server itself closes idle sockets too, only later: 5 s by default.
    using patience = systemClock.deadline(2000);
    const tooLate = new Promise<void>((resolve) => {
      patience.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([isClosed, tooLate]);
    assert.deepEqual(closedPorts, [`a.test:${receiver.port}`]);
    assertAnswer(await transport.send(post(`http://a.test:${receiver.port}/`), running), 200, "ok");
  });

  test("an idle socket that is older than a minute is not used again", async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport({ clock, connectionsMax: 1 });
    for (const [atMs, sockets] of [
      [0, 1],
      [50_000, 1],
      [61_000, 2],
      [62_000, 2],
    ] as const) {
      aheadMs = atMs;
      assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
      assert.equal(receiver.seen.sockets, sockets, `at ${atMs} ms`);
    }
    assert.equal(receiver.seen.requests, 4);
  });

  test("send() cuts a long body that came whole, in one piece, with the end of its connection", async () => {
    await using receiver = await openRawReceiver((socket) => {
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5000\r\n\r\n${"d".repeat(5000)}`);
    });
    await using transport = openTransport();
    const result = await transport.send(post(receiver.url), running);
    assertAnswer(result, 200, "d".repeat(4096));
    assert.equal(result.kind === "answered" && result.isBodyCut, true);
    assertAnswer(await transport.send(post(receiver.url), running), 200, "d".repeat(4096));
  });

  test("a request that undici does not even take fails at once and leaves no timer and nobody waiting", async () => {
    const clock = createManualClock(0);
    const refusal = new Error("not a request");
    const dispatch = (): never => {
      throw refusal;
    };
    const agent = { dispatch } as unknown as Parameters<typeof exchange>[0];
    const controller = new AbortController();
    const request = { origin: "http://127.0.0.1:9", path: "/", headers: {}, body: new Uint8Array() };
    const limits = { clock, timeoutMs: 15_000, signal: controller.signal, mayBegin: () => true, milestones: null };
    await assert.rejects(exchange(agent, request, limits, new SocketWatch()), refusal);
    assert.equal(clock.timerCount(), 0);
    assert.equal(waitingFor(controller.signal), 0);
  });
}

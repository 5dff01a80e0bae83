/** What a receiver may send, rightly or wrongly, and what an attempt makes of it (`ports/transport.ts`), with each client. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";

import { RESPONSE_BODY_MS_MAX, RESPONSE_HEADER_BYTES_MAX } from "@posthaste/shared/drivers/http/answer.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";

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

/** Fields of 1,000 bytes that make a head of about so many KiB. */
function fields(kib: number): string {
  return `x: ${"y".repeat(1019)}\r\n`.repeat(kib);
}

/** Read as a whole answer with the body `ok`. */
const goodAnswers: Readonly<Record<string, string>> = {
  "a 100 nobody asked for": `HTTP/1.1 100 Continue\r\n\r\n${OK_ANSWER}`,
  "a 102 and a 103": `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK_ANSWER}`,
  "two equal lengths": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nContent-Length: 2\r\n\r\nok",
  "one length twice in a field": "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
  "blanks behind a length": "HTTP/1.1 200 OK\r\ncontent-length: 2 \r\n\r\nok",
  "tabs around a length": "HTTP/1.1 200 OK\r\ncontent-length:\t2\t\r\n\r\nok",
  "tabs around its coding": "HTTP/1.1 200 OK\r\ntransfer-encoding:\tchunked\t\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "a length beside chunks":
    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "folded header lines": "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\tc\r\ncontent-length:\r\n 2\r\n\r\nok",
  "trailers behind its chunks":
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\nz: 1\r\n\r\n",
  "an extension of a chunk": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n",
  "line feeds alone": "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
  "an empty line before": `\r\n${OK_ANSWER}`,
  "no reason phrase": "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
  "500 header fields": `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(500)}content-length: 2\r\n\r\nok`,
  "a head of 60 KiB": `HTTP/1.1 200 OK\r\n${fields(60)}content-length: 2\r\n\r\nok`,
  "more body than it declared": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokokok",
};

const badAnswers: Readonly<Record<string, readonly [string, RegExp]>> = {
  "a 101": [
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    /answered 101: it switched/,
  ],
  "a 101 without an upgrade": ["HTTP/1.1 101 Why Not\r\n\r\n", /answered 101: it switched/],
  "the status 099": ["HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n", /the status 099, which HTTP does not have/],
  "the status 000": ["HTTP/1.1 000 Odd\r\ncontent-length: 0\r\n\r\n", /the status 000, which HTTP does not have/],
  "the status 600": ["HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n", /the status 600, which HTTP does not have/],
  "a status of four digits": ["HTTP/1.1 2000 Odd\r\n\r\n", /not an HTTP\/1\.1 answer/],
  "HTTP/2": ["HTTP/2 200 OK\r\n\r\n", /not an HTTP\/1\.1 answer/],
  "two different lengths": [
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    /two different lengths/,
  ],
  "a length that is no number": ["HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok", /not an HTTP\/1\.1 answer/],
  "interim answers without end": ["HTTP/1.1 100 Continue\r\n\r\n".repeat(9), /interim answers without end/],
  "a 500 with a head beyond 64 KiB": [`HTTP/1.1 500 No\r\n${fields(66)}\r\n`, /larger than 64 KiB/],
};

const ENDS = [
  ["with a FIN", (socket: Socket) => void socket.end()],
  ["with a RST", (socket: Socket) => void socket.resetAndDestroy()],
] as const;

for (const client of CLIENTS) {
  const test = testWith(client);
  const openTransport = openerOf(client);

  for (const [what, bytes] of Object.entries(goodAnswers)) {
    test(`an answer with ${what} is read to its end, however it is cut into pieces`, async () => {
      await using receiver = await openRawReceiver((socket, nth) => {
        if (nth === 1) socket.write(bytes, "latin1");
        else void writeInPieces(socket, bytes, nth);
      });
      await using transport = openTransport();
      for (let round = 1; round <= 3; round++) {
        const result = await transport.send(post(receiver.url), running);
        assertAnswer(result, 200, "ok");
        assert.equal(result.kind === "answered" && result.isBodyCut, false);
      }
    });
  }

  for (const [what, [bytes, detail]] of Object.entries(badAnswers)) {
    test(`an answer with ${what} is called by its name`, async () => {
      await using receiver = await openRawReceiver((socket) => void socket.write(bytes, "latin1"));
      await using transport = openTransport();
      const result = await transport.send(post(receiver.url), running);
      assertFault(result, "bad-answer", detail);
      assert.equal(receiver.seen.requests, 1);
    });
  }

  test("what came beyond an answer is never taken for the answer to the next request", async () => {
    let late = (): void => undefined;
    await using receiver = await openRawReceiver((socket, nth) => {
      if (nth === 1) {
        socket.write(OK_ANSWER);
        late = () => void socket.write("leftover");
      } else if (nth === 2) {
        late();
      } else {
        socket.write(OK_ANSWER.replace("ok", "no"));
      }
    });
    await using transport = openTransport({ connectionsMax: 1 });
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    assertAnswer(await transport.send(post(receiver.url), running), 200, "no");
  });

  for (const [how, end] of ENDS) {
    test(`a kept connection that ends ${how} before a byte of the answer is no attempt: a fresh one is taken`, async () => {
      await using receiver = await openRawReceiver(
        (socket, nth) => void (nth === 2 ? end(socket) : socket.write(OK_ANSWER)),
      );
      await using transport = openTransport({ connectionsMax: 1 });
      assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
      assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
      assert.deepEqual(receiver.seen, { sockets: 2, requests: 3 });
    });

    test(`a new connection that ends ${how} is a fault, also after a kept one`, async () => {
      await using receiver = await openRawReceiver(
        (socket, nth) => void (nth === 1 ? socket.write(OK_ANSWER) : end(socket)),
      );
      await using transport = openTransport({ connectionsMax: 1 });
      assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
      assertFault(await transport.send(post(receiver.url), running), "reset", /closed|reset/);
      assert.deepEqual(receiver.seen, { sockets: 2, requests: 3 });
    });
  }

  test("when many kept connections have ended, each request is sent again once", async () => {
    const held: Socket[] = [];
    await using receiver = await openRawReceiver((socket, nth) => {
      if (nth > 4) return void (held.includes(socket) ? socket.destroy() : socket.write(OK_ANSWER));
      held.push(socket);
      if (nth === 4) for (const each of held) each.write(OK_ANSWER);
    });
    await using transport = openTransport({ connectionsMax: 4 });
    const send = () => transport.send(post(receiver.url), running);
    for (const result of await Promise.all([send(), send(), send(), send()])) assertAnswer(result, 200, "ok");
    for (const result of await Promise.all([send(), send(), send(), send()])) assertAnswer(result, 200, "ok");
    assert.ok(receiver.seen.requests <= 12, `${receiver.seen.requests} requests`);
  });

  for (const [how, end] of ENDS) {
    test(`a body that ends with its connection does so ${how}`, async () => {
      await using receiver = await openRawReceiver((socket) => {
        // Read by then.
        socket.write("HTTP/1.1 200 OK\r\n\r\nok", () => systemClock.timer(50, () => end(socket)));
      });
      await using transport = openTransport();
      assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
      assert.equal(receiver.seen.requests, 1);
    });
  }

  test("a kept connection that ends within the head of the answer is a fault", async () => {
    await using receiver = await openRawReceiver(
      (socket, nth) => void (nth === 2 ? socket.end("HTTP/1.1 2") : socket.write(OK_ANSWER)),
    );
    await using transport = openTransport({ connectionsMax: 1 });
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    assertFault(await transport.send(post(receiver.url), running), "reset", /closed|reset/);
    assert.equal(receiver.seen.requests, 2);
  });

  for (const status of [200, 201, 410, 503]) {
    test(`the head of a ${status} whose body never ends decides, within the bound, and the connection is closed`, async () => {
      let closed = (): void => undefined;
      const isClosed = new Promise<void>((resolve) => (closed = resolve));
      await using receiver = await openRawReceiver((socket) => {
        socket.on("close", closed);
        socket.write(`HTTP/1.1 ${status} X\r\nretry-after: 7\r\ncontent-length: 10\r\n\r\nabc`);
      });
      // The bound on the body passes at once, and the deadline of the attempt not while the test runs.
      const timer = (ms: number, callback: () => void) =>
        systemClock.timer(ms === RESPONSE_BODY_MS_MAX ? 0 : ms, callback);
      await using transport = openTransport({ clock: { ...systemClock, timer } });
      const result = await transport.send(post(receiver.url, { timeoutMs: 3_600_000 }), running);
      assertAnswer(result, status, "abc");
      assert.deepEqual(result.kind === "answered" && [result.isBodyCut, result.retryAfter], [true, "7"]);
      await isClosed;
    });
  }

  test("a deadline, or a stop, that comes within the body leaves the answer as its head decided", async () => {
    const stop = new AbortController();
    await using receiver = await openRawReceiver((socket, nth) => {
      socket.write("HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\nabc", () => {
        if (nth === 2) systemClock.timer(100, () => stop.abort());
      });
    });
    await using transport = openTransport();
    assertAnswer(await transport.send(post(receiver.url, { timeoutMs: 150 }), running), 202, "abc");
    assertAnswer(await transport.send(post(receiver.url), stop.signal), 202, "abc");
  });

  test("of a 2xx with an endless head the status counts, and no more than its bound is read", async () => {
    let written = 0;
    let closed = (): void => undefined;
    const isClosed = new Promise<void>((resolve) => (closed = resolve));
    await using receiver = await openRawReceiver((socket) => {
      socket.on("close", closed);
      socket.write("HTTP/1.1 200 OK\r\n");
      const flood = (): void => {
        while (!socket.destroyed && socket.write(fields(16))) written += 16 * 1024;
      };
      socket.on("drain", flood);
      flood();
    });
    await using transport = openTransport();
    const result = await transport.send(post(receiver.url), running);
    assertAnswer(result, 200, "");
    assert.equal(result.kind === "answered" && result.isBodyCut, true);
    await isClosed;
    assert.ok(written < 1024 * RESPONSE_HEADER_BYTES_MAX, `${written} bytes were taken`);
  });

  test("Retry-After is found whatever its case, and the first of two counts", async () => {
    await using receiver = await openRawReceiver((socket) => {
      socket.write("HTTP/1.1 503 No\r\nRETRY-AFTER: 120\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n");
    });
    await using transport = openTransport();
    const result = await transport.send(post(receiver.url), running);
    assert.equal(result.kind === "answered" && result.retryAfter, "120");
  });

  test("what belongs to the connection is never taken from an endpoint's headers, in any case", async () => {
    const seen: string[] = [];
    await using receiver = await openReceiver((request, response, body) => {
      seen.push(`${request.headers.host} ${request.headers["content-length"]} ${body.toString()}`);
      assert.equal(request.headers.expect, undefined);
      response.end("ok");
    });
    await using transport = openTransport({ resolve: answering(["127.0.0.1"]) });
    const names = {
      Expect: "100-continue",
      EXPECT: "x",
      Host: "other",
      "Content-Length": "9",
      "Transfer-Encoding": "chunked",
    };
    for (const [name, value] of Object.entries(names)) {
      const request = post(`http://receiver.test:${receiver.port}/`, { headers: { [name]: value } });
      assertAnswer(await transport.send(request, running), 200, "ok");
    }
    assert.deepEqual(new Set(seen), new Set([`receiver.test:${receiver.port} 2 {}`]));
  });

  test("two names at one address have sockets of their own", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport({ resolve: answering(["127.0.0.1"]) });
    for (const name of ["a", "b", "a", "b"]) {
      assertAnswer(await transport.send(post(`http://${name}.test:${receiver.port}/`), running), 200, "ok");
    }
    assert.equal(receiver.seen.sockets, 2);
  });

  test("a body of half a megabyte arrives whole although the receiver reads late", async () => {
    const body = Buffer.alloc(512 * 1024, "z");
    let length = 0;
    await using receiver = await openReceiver((_request, response, bytes) => {
      length = bytes.length;
      response.end("ok");
    });
    await using transport = openTransport();
    for (let round = 0; round < 2; round++) {
      assertAnswer(await transport.send(post(receiver.url, { body }), running), 200, "ok");
      assert.equal(length, body.length);
    }
  });
}

/** In pieces of `size` bytes, each in a packet of its own. */
async function writeInPieces(socket: Socket, text: string, size: number): Promise<void> {
  // Large heads in larger pieces: so many packets would take seconds.
  const step = text.length > 1024 ? 4001 : size;
  socket.setNoDelay(true);
  for (let at = 0; at < text.length && !socket.destroyed; at += step) {
    await new Promise<void>((resolve) => void socket.write(text.slice(at, at + step), "latin1", () => resolve()));
    await new Promise<void>((resolve) => systemClock.soon(resolve));
  }
}

/** The server before any route: its bound on connections, what late callers hold, and its end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServeOptions } from "@posthaste/shared/drivers/http/server/serve.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { rawClient } from "../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const ok = (): Response => new Response("ok");

const serve = (options: Partial<ServeOptions>) =>
  serveHttp({ host: "127.0.0.1", port: 0, portSetting: "PORT", connectionsMax: 8, fetch: ok, ...options });

test("connections that say a byte, half a head or nothing more make room for those who ask, the oldest first", async () => {
  const listening = await serve({});
  const said = ["G", "GET / HTTP/1.1\r\nx-note: a", GET];
  const idle = Array.from({ length: 40 }, (_, nth) => {
    const client = rawClient(listening.port);
    client.socket.write(said[nth % said.length] ?? "");
    return client;
  });
  try {
    let ended = 0;
    const enough = Promise.withResolvers<void>();
    const watch = async (client: RawClient): Promise<void> => {
      await client.ended();
      ended += 1;
      if (ended === 32) enough.resolve();
    };
    for (const client of idle) void watch(client);
    await enough.promise;
    using asking = rawClient(listening.port);
    asking.socket.write(GET);
    assert.deepEqual(
      (await asking.answers(1)).map(({ status }) => status),
      [200],
    );
    assert.equal(listening.connectionCount, 8);
  } finally {
    for (const { socket } of idle) socket.destroy();
    await listening.kill();
  }
});

test("503 with a problem when a request is under way on every connection, and no answer is lost", async () => {
  const gate = Promise.withResolvers<void>();
  const bothBegan = Promise.withResolvers<void>();
  let begun = 0;
  const listening = await serve({
    connectionsMax: 2,
    fetch() {
      begun += 1;
      if (begun === 2) bothBegan.resolve();
      return gate.promise.then(ok);
    },
  });
  using first = rawClient(listening.port);
  using second = rawClient(listening.port);
  try {
    first.socket.write(GET);
    second.socket.write(GET);
    await bothBegan.promise;
    using third = rawClient(listening.port);
    const [refused] = await third.ended();
    assert.equal(refused?.status, 503);
    assert.equal(refused?.headers.get("retry-after"), "1");
    assert.match(refused?.body ?? "", /"code":"overloaded"/);
    gate.resolve();
    for (const client of [first, second]) {
      assert.deepEqual(
        (await client.answers(1)).map(({ status }) => status),
        [200],
      );
    }
  } finally {
    await listening.kill();
  }
});

test("a stop lets requests in flight end, says that it is the last answer, and closes idle connections at once", async () => {
  const gate = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const listening = await serve({
    fetch({ method }) {
      if (method === "HEAD") return new Response(null);
      began.resolve();
      return gate.promise.then(ok);
    },
  });
  using idle = rawClient(listening.port);
  idle.socket.write(`HEAD / HTTP/1.1\r\nhost: x\r\n\r\n`);
  await idle.answers(1);
  using asking = rawClient(listening.port);
  asking.socket.write(GET);
  await began.promise;
  const clock = createManualClock(0);
  const stopped = listening.stopWithin(100, 1000, clock);
  await clock.settle();
  using late = rawClient(listening.port);
  late.socket.write(GET);
  await clock.advance(100);
  assert.deepEqual((await idle.ended()).length, 1);
  gate.resolve();
  const [answer] = await asking.ended();
  assert.deepEqual([answer?.status, answer?.headers.get("connection")], [200, "close"]);
  await stopped;
  using afterwards = rawClient(listening.port);
  assert.deepEqual(await afterwards.ended(), []);
});

test("a stop cuts what does not end in its time", async () => {
  const began = Promise.withResolvers<void>();
  const listening = await serve({
    fetch() {
      began.resolve();
      return new Promise(() => undefined);
    },
  });
  using asking = rawClient(listening.port);
  asking.socket.write(GET);
  await began.promise;
  const clock = createManualClock(0);
  const stopped = listening.stopWithin(0, 1000, clock);
  await clock.advance(1000);
  await stopped;
  assert.deepEqual(await asking.ended(), []);
});

test("a handler that throws is answered 500 without a word of what it threw", async () => {
  const listening = await serve({ fetch: () => Promise.reject(new Error("secret at /srv/x.ts")) });
  using client = rawClient(listening.port);
  try {
    client.socket.write(GET);
    const [answer] = await client.ended();
    assert.deepEqual([answer?.status, answer?.body], [500, ""]);
  } finally {
    await listening.kill();
  }
});

test("requests sent far ahead of their answers: 32 are worked on, the next is refused, and the connection ends", async () => {
  let handled = 0;
  const gate = Promise.withResolvers<void>();
  const listening = await serve({
    fetch() {
      handled += 1;
      return gate.promise.then(ok);
    },
  });
  using client = rawClient(listening.port);
  try {
    client.socket.write(GET.repeat(100));
    while (handled < 32) await new Promise((resume) => setImmediate(resume));
    gate.resolve();
    const answers = await client.ended();
    assert.deepEqual(
      answers.map(({ status }) => status),
      [...Array.from({ length: 32 }, () => 200), 503],
    );
    assert.equal(handled, 32);
  } finally {
    await listening.kill();
  }
});

test("a flood of requests on one connection is cut before it is all worked through", async () => {
  let handled = 0;
  const listening = await serve({
    fetch() {
      handled += 1;
      return new Promise(() => undefined);
    },
  });
  using client = rawClient(listening.port);
  try {
    client.socket.write(GET.repeat(500));
    assert.deepEqual(await client.ended(), []);
    assert.equal(handled, 32);
  } finally {
    await listening.kill();
  }
});

test("answers that nobody reads count as under way: few are made, however many requests come", async () => {
  let handled = 0;
  const text = "x".repeat(1_000_000);
  const listening = await serve({
    fetch() {
      handled += 1;
      return new Response(text);
    },
  });
  const client = rawClient(listening.port);
  try {
    client.socket.pause();
    client.socket.write(GET.repeat(120));
    using other = rawClient(listening.port);
    while (handled < 32) await new Promise((resume) => setImmediate(resume));
    other.socket.write(GET);
    assert.equal((await other.answers(1)).length, 1);
    assert.ok(handled < 60, `${handled} answers were made`);
  } finally {
    client.socket.destroy();
    await listening.kill();
  }
});

/** The server before any route: its bound on connections, what late callers hold, and its end. */
import assert from "node:assert/strict";
import type { ServeOptions } from "@posthaste/shared/drivers/http/server/serve.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { onEachListener } from "../../support/on-each-listener.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { rawClient } from "../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const { test, isShared } = onEachListener();
const ok = (): Response => new Response("ok");

const serve = (options: Partial<ServeOptions>) =>
  serveHttp({
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    portSetting: "PORT",
    connectionsMax: 8,
    isShared: isShared(),
    fetch: ok,
    ...options,
  });

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

test("204 and 304 say no length, and the connection goes on", async () => {
  let asked = 0;
  const listening = await serve({ fetch: () => new Response(null, { status: asked++ === 0 ? 304 : 204 }) });
  try {
    using client = rawClient(listening.port);
    client.socket.write(GET.repeat(2));
    const answers = await client.answers(2);
    const lengths = answers.map(({ status, headers }) => `${status} ${headers.get("content-length") ?? "none"}`);
    assert.deepEqual(lengths, ["304 none", "204 none"]);
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

test("a body that came with its head is at hand at once and once; of one that is on its way nothing is", async () => {
  const begun: (() => void)[] = [];
  const listening = await serve({
    async fetch(request) {
      const first = request.whole?.() ?? null;
      begun.shift()?.();
      const bytes = first ?? (await request.bytes());
      const again = request.whole?.() ?? null;
      return new Response(`${first === null ? "waited" : "at hand"}: ${String(Buffer.from(bytes))}, ${String(again)}`);
    },
  });
  const head = "POST / HTTP/1.1\r\nhost: x\r\n";
  using client = rawClient(listening.port);
  try {
    const isBegun = new Promise<void>((resolve) =>
      begun.push(
        () => undefined,
        () => undefined,
        () => undefined,
        resolve,
      ),
    );
    client.socket.write(
      `${head}content-length: 3\r\n\r\nabc${head}transfer-encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r\n`,
    );
    client.socket.write(`${head}content-length: 0\r\n\r\n${head}content-length: 2\r\n\r\ne`);
    await isBegun;
    client.socket.write("f");
    assert.deepEqual(
      (await client.answers(4)).map(({ body }) => body),
      ["at hand: abc, null", "at hand: d, null", "at hand: , null", "waited: ef, null"],
    );
  } finally {
    await listening.kill();
  }
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

/** Once the server has read what was written: the answer to a request behind it on another connection says so. */
async function settled(port: number): Promise<void> {
  using other = rawClient(port);
  other.socket.write(GET);
  await other.answers(1);
}

const late: readonly {
  readonly name: string;
  readonly said: string;
  readonly ms: number;
  readonly statuses: readonly number[];
}[] = [
  { name: "a head that does not end", said: "GET / HTTP/1.1\r\nx-note: a", ms: 11_000, statuses: [408] },
  {
    name: "a body that does not end",
    said: "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab",
    ms: 31_000,
    statuses: [408],
  },
  { name: "an answered request with no other behind it", said: GET, ms: 31_000, statuses: [200] },
  { name: "half a head behind an answered request", said: `${GET}GET`, ms: 11_000, statuses: [200, 408] },
];
for (const { name, said, ms, statuses } of late) {
  test(`${name} ends its connection in time`, async () => {
    const clock = createManualClock(0);
    const listening = await serve({
      clock,
      async fetch(request) {
        await request.bytes();
        return ok();
      },
    });
    using client = rawClient(listening.port);
    try {
      client.socket.write(said);
      if (statuses.includes(200)) await client.answers(1);
      await settled(listening.port);
      await clock.advance(ms);
      const answers = await client.ended();
      assert.deepEqual(
        answers.map(({ status }) => status),
        statuses,
      );
    } finally {
      await listening.kill();
    }
  });
}

test("a caller that sends requests and reads no answers is held back, and closed in time", async () => {
  const clock = createManualClock(0);
  let begun = 0;
  const listening = await serve({
    clock,
    fetch({ url }) {
      if (!url.endsWith("/large")) return ok();
      begun += 1;
      return new Response("x".repeat(256 * 1024));
    },
  });
  using client = rawClient(listening.port);
  try {
    client.socket.pause();
    client.socket.write("GET /large HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2000));
    for (let before = -1; before !== begun;) {
      before = begun;
      for (let turn = 0; turn < 5; turn++) await settled(listening.port);
    }
    assert.ok(begun > 0 && begun < 1000, `${begun} requests were answered into memory`);
    await clock.advance(32_000);
    client.socket.resume();
    const answers = await client.ended();
    assert.ok(answers.length <= begun);
  } finally {
    await listening.kill();
  }
});

test("requests that come at once are handled one after the other, and answered in order", async () => {
  const gate = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const paths: string[] = [];
  const listening = await serve({
    async fetch({ url }) {
      const { pathname } = new URL(url);
      paths.push(pathname);
      began.resolve();
      if (pathname === "/a") await gate.promise;
      return new Response(pathname);
    },
  });
  using client = rawClient(listening.port);
  try {
    client.socket.write("GET /a HTTP/1.1\r\nhost: x\r\n\r\nGET /b HTTP/1.1\r\nhost: x\r\n\r\n");
    await began.promise;
    await settled(listening.port);
    assert.deepEqual(paths, ["/a", "/"]);
    gate.resolve();
    const answers = await client.answers(2);
    assert.deepEqual(
      answers.map(({ body }) => body),
      ["/a", "/b"],
    );
  } finally {
    await listening.kill();
  }
});

test("whatever the size of the pieces, a request is the same request", async () => {
  const seen: string[] = [];
  const listening = await serve({
    async fetch(request) {
      const text = new TextDecoder().decode(await request.bytes());
      seen.push([request.method, request.url, request.headers.get("x-note"), text].join(" "));
      return ok();
    },
  });
  const fields = Array.from({ length: 60 }, (_, nth) => `x-${nth}: ${nth}\r\n`).join("");
  const request = `POST /a?b=c HTTP/1.1\r\nhost: x\r\nX-Note: 1\r\nx-note: 2\r\n${fields}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n`;
  try {
    for (const size of [1, 2, 3, 7, 64, 10_000]) {
      using client = rawClient(listening.port);
      client.socket.setNoDelay(true);
      for (let from = 0; from < request.length; from += size) {
        client.socket.write(request.slice(from, from + size));
        if (size < 64) await new Promise((resolve) => void setImmediate(resolve));
      }
      client.socket.write(GET);
      await client.answers(2);
      assert.deepEqual(seen.splice(0), ["POST http://localhost/a?b=c 1, 2 abcdefg", "GET http://localhost/  "]);
    }
  } finally {
    await listening.kill();
  }
});

test("of requests sent far ahead of their answers a bounded number is kept, and the connection ends behind them", async () => {
  const gate = Promise.withResolvers<void>();
  const listening = await serve({ fetch: () => gate.promise.then(ok) });
  using client = rawClient(listening.port);
  try {
    client.socket.write(GET.repeat(500));
    await settledBehind(listening.port, gate.resolve);
    const answers = await client.ended();
    assert.ok(answers.length > 1 && answers.length <= 65, `${answers.length} answers`);
  } finally {
    await listening.kill();
  }
});

/** Opens the gate once the server has read what other connections wrote before. */
async function settledBehind(port: number, open: () => void): Promise<void> {
  using other = rawClient(port);
  other.socket.write("nonsense\r\n\r\n");
  await other.answers(1);
  open();
}

const drained: ServeOptions["fetch"] = async (request) => {
  await request.bytes();
  return ok();
};

const CLOSED_AFTER: readonly (readonly [string, string, readonly number[]])[] = [
  ["nothing", "", []],
  ["half a request line", "GET /", [400]],
  ["half a head", "GET / HTTP/1.1\r\nx-note: a", [400]],
  ["half a body", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc", [400]],
  ["half a chunk", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", [400]],
  ["a request", GET, [200]],
  ["a request and half another", `${GET}GET / HT`, [200, 400]],
  ["an offer of another protocol", "GET / HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", [200]],
];

// Runtimes differ in what their parsers say of a connection that ends.
for (const [name, said, statuses] of CLOSED_AFTER) {
  test(`a caller that closes its side after ${name} gets its answer, and the server goes on`, async () => {
    const listening = await serve({ fetch: drained });
    try {
      using client = rawClient(listening.port);
      client.socket.end(said);
      await client.ended();
      assert.deepEqual(
        (await client.answers(statuses.length)).map(({ status }) => status),
        statuses,
      );
      using next = rawClient(listening.port);
      next.socket.write(GET);
      assert.equal((await next.answers(1))[0]?.status, 200);
    } finally {
      await listening.kill();
    }
  });
}

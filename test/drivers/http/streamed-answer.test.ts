/** Answers that are streamed: each piece as it comes, no more kept than is asked for, and an end in every case. */
import assert from "node:assert/strict";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import { UNREAD_MS_MAX } from "@posthaste/shared/drivers/http/server/connection-bounds.ts";
import type { Listening } from "@posthaste/shared/drivers/http/server/serve.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { onEachListener } from "../../support/on-each-listener.ts";
import { rawClient } from "../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const { test, isShared } = onEachListener();
const encoder = new TextEncoder();

/** A stream whose pieces are given by hand, and a server that answers with it. */
async function serveStream(clock: ManualClock | typeof systemClock = systemClock) {
  const cancelled = Promise.withResolvers<void>();
  const source: { controller: ReadableStreamDefaultController<Uint8Array> | null } = { controller: null };
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => void (source.controller = controller),
    cancel: () => cancelled.resolve(),
  });
  const listening = await serve(() => eventStream(stream), clock);
  const { controller } = source;
  assert.ok(controller !== null);
  return {
    listening,
    cancelled: cancelled.promise,
    controller,
    give: (text: string) => controller.enqueue(encoder.encode(text)),
  };
}

const eventStream = (body: ReadableStream<Uint8Array> | null): Response =>
  new Response(body, { headers: { "content-type": "text/event-stream" } });

const serve = (fetch: (request: InboundRequest) => Response, clock: ManualClock | typeof systemClock) =>
  serveHttp({ clock, host: "127.0.0.1", port: 0, portSetting: "PORT", isShared: isShared(), connectionsMax: 8, fetch });

test("each piece is sent when it comes, as a chunk, and the connection ends with the stream", async () => {
  const { listening, controller, give } = await serveStream();
  using client = rawClient(listening.port);
  try {
    client.socket.write(GET);
    give("data: one\n\n");
    await client.until(/data: one\n\n\r\n$/);
    assert.match(client.text(), /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(client.text(), /\r\ntransfer-encoding: chunked\r\n/);
    assert.doesNotMatch(client.text(), /content-length/);
    give("data: two\n\n");
    await client.until(/data: two\n\n\r\n$/);
    controller.close();
    await client.until(/\r\n\r\nb\r\ndata: one\n\n\r\nb\r\ndata: two\n\n\r\n0\r\n\r\n$/);
  } finally {
    await listening.kill();
  }
});

test("fetch reads a streamed answer piece by piece", async () => {
  const { listening, controller, give } = await serveStream();
  try {
    const response = await fetch(listening.url);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    give("data: one\n\n");
    assert.equal((await reader?.read())?.value, "data: one\n\n");
    controller.close();
    assert.equal((await reader?.read())?.done, true);
  } finally {
    await listening.kill();
  }
});

test("to HTTP/1.0 it goes without chunks, until the connection ends", async () => {
  const { listening, controller, give } = await serveStream();
  using client = rawClient(listening.port);
  try {
    client.socket.write("GET / HTTP/1.0\r\nhost: x\r\n\r\n");
    give("data: one\n\n");
    controller.close();
    await client.until(/\r\n\r\ndata: one\n\n$/);
    assert.doesNotMatch(client.text(), /transfer-encoding/);
  } finally {
    await listening.kill();
  }
});

for (const [how, leave] of [
  ["closes its side", (client: ReturnType<typeof rawClient>) => client.socket.end()],
  ["breaks the connection", (client: ReturnType<typeof rawClient>) => client.socket.destroy()],
] as const) {
  test(`the stream is cancelled when its caller ${how}`, async () => {
    const { listening, cancelled, give } = await serveStream();
    using client = rawClient(listening.port);
    try {
      client.socket.write(GET);
      give("data: one\n\n");
      await client.until(/data: one/);
      leave(client);
      await cancelled;
    } finally {
      await listening.kill();
    }
  });
}

test("a streamed answer may stay silent for longer than any other wait of a connection", async () => {
  const clock = createManualClock(0);
  const { listening, give } = await serveStream(clock);
  using client = rawClient(listening.port);
  try {
    client.socket.write(GET);
    give("data: one\n\n");
    await client.until(/data: one/);
    await clock.advance(10 * UNREAD_MS_MAX);
    give("data: two\n\n");
    await client.until(/data: two/);
  } finally {
    await listening.kill();
  }
});

test("who does not read holds a bounded part of the stream, and is closed in time", async () => {
  const clock = createManualClock(0);
  const piece = new Uint8Array(64 * 1024);
  let made = 0;
  const cancelled = Promise.withResolvers<void>();
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        made += 1;
        controller.enqueue(piece);
      },
      cancel: () => cancelled.resolve(),
    },
    { highWaterMark: 0 },
  );
  const listening = await serve(() => eventStream(stream), clock);
  using client = rawClient(listening.port);
  try {
    client.socket.pause();
    client.socket.write(GET);
    // Buffers of the system take some of it; then no more is asked for, although time goes on.
    await untilStill(listening.port, () => made);
    const held = made;
    assert.ok(held > 0 && held < 1000, `${held} pieces were asked for`);
    await clock.advance(UNREAD_MS_MAX / 2);
    await untilStill(listening.port, () => made);
    assert.equal(made, held);
    await clock.advance(UNREAD_MS_MAX);
    await cancelled.promise;
  } finally {
    await listening.kill();
  }
});

test("HEAD gets the head alone, and its connection stays", async () => {
  const listening = await serve(
    ({ method }) => eventStream(method === "HEAD" ? null : new ReadableStream()),
    systemClock,
  );
  using client = rawClient(listening.port);
  try {
    client.socket.write("HEAD / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2));
    assert.deepEqual(
      (await client.answers(2)).map(({ status, headers }) => [status, headers.get("content-type")]),
      [
        [200, "text/event-stream"],
        [200, "text/event-stream"],
      ],
    );
  } finally {
    await listening.kill();
  }
});

test("a stop waits for a stream for as long as for any answer", async () => {
  const { listening, controller, give } = await serveStream();
  using client = rawClient(listening.port);
  client.socket.write(GET);
  give("data: one\n\n");
  await client.until(/data: one/);
  client.socket.once("end", () => client.socket.end());
  const stopped = stopOf(listening, 60_000);
  controller.close();
  assert.equal(await stopped, 0);
});

test("a stop cuts a stream that does not end in its time", async () => {
  const { listening, cancelled, give } = await serveStream();
  using client = rawClient(listening.port);
  client.socket.write(GET);
  give("data: one\n\n");
  await client.until(/data: one/);
  assert.equal(await stopOf(listening, 1), 1);
  await cancelled;
});

const stopOf = (listening: Listening, ms: number): Promise<number> => listening.stopWithin(0, ms, systemClock);

/** Resolves when the count is the same over several round trips to the server. */
async function untilStill(port: number, count: () => number): Promise<void> {
  for (let last = -1; last !== count();) {
    last = count();
    for (let turn = 0; turn < 5; turn++) {
      using other = rawClient(port);
      other.socket.write("nonsense\r\n\r\n");
      await other.ended();
    }
  }
}

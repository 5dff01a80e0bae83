/** A caller that reads slowly gets its whole answer within `UNREAD_MS_MAX`, also when it is the last of its connection or a stop begins. */
import assert from "node:assert/strict";
import { LINGER_MS_MAX, UNREAD_MS_MAX } from "@posthaste/shared/drivers/http/server/connection-bounds.ts";
import type { Listening } from "@posthaste/shared/drivers/http/server/serve.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import type { TextResponseParts } from "@posthaste/shared/ports/text-response.ts";
import { textResponse } from "@posthaste/shared/ports/text-response.ts";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { onEachListener } from "../../support/on-each-listener.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { rawClient } from "../../support/raw-client.ts";

const { test, isShared } = onEachListener();
/** More than the kernel keeps of what nobody reads. */
const TEXT = "x".repeat(24 * 1024 * 1024);
const head = (connection: string): string => `GET / HTTP/1.1\r\nhost: x\r\nconnection: ${connection}\r\n\r\n`;

/** A caller that has read the beginning of its answer and then stops. */
async function openSlow(connection: string, clock: ManualClock): Promise<{ listening: Listening; client: RawClient }> {
  const listening = await listen(clock, TEXT);
  return { listening, client: await slowClient(listening, connection) };
}

async function slowClient({ port }: Listening, connection: string): Promise<RawClient> {
  const client = rawClient(port);
  client.socket.write(head(connection));
  await client.until(/HTTP\/1\.1 200/);
  client.socket.pause();
  return client;
}

async function listen(clock: ManualClock, text: TextResponseParts["text"]): Promise<Listening> {
  return await serveHttp({
    clock,
    host: "127.0.0.1",
    port: 0,
    portSetting: "PORT",
    connectionsMax: 32,
    isShared: isShared(),
    fetch: () => textResponse({ status: 200, headers: {}, text }),
  });
}

async function restOf(client: RawClient): Promise<string | undefined> {
  client.socket.resume();
  const [answer] = await client.answers(1);
  return answer?.body;
}

test("the last answer of a connection may be read as slowly as any other", async () => {
  const clock = createManualClock(0);
  const { listening, client } = await openSlow("close", clock);
  try {
    await clock.advance(UNREAD_MS_MAX - LINGER_MS_MAX);
    assert.equal((await restOf(client))?.length, TEXT.length);
  } finally {
    client.socket.destroy();
    await listening.kill();
  }
});

test("who neither reads its last answer nor ends its own request is closed in the end", async () => {
  const clock = createManualClock(0);
  const { listening, client } = await openSlow("close\r\ncontent-length: 5", clock);
  try {
    for (let waitedMs = 0; waitedMs < 2 * UNREAD_MS_MAX; waitedMs += 1000) await clock.advance(1000);
    client.socket.resume();
    await client.ended();
    assert.equal(listening.connectionCount, 0);
  } finally {
    client.socket.destroy();
    await listening.kill();
  }
});

for (const connection of ["close", "keep-alive"]) {
  test(`a stop waits for who reads slowly, connection: ${connection}, and for no longer`, async () => {
    const clock = createManualClock(0);
    const { listening, client } = await openSlow(connection, clock);
    let left: number | null = null;
    const stopped = listening.stopWithin(0, 20_000, clock).then((count) => (left = count));
    await clock.advance(10_000);
    assert.equal(left, null);
    assert.equal((await restOf(client))?.length, TEXT.length);
    await client.ended();
    client.socket.end();
    assert.equal(await stopped, 0);
  });
}

test("what is given as bytes is there once for all who do not read it, and is sent whole", async () => {
  const clock = createManualClock(0);
  const bytes = new TextEncoder().encode(TEXT);
  const listening = await listen(clock, bytes);
  const before = process.memoryUsage.rss();
  const clients = await Promise.all(Array.from({ length: 20 }, () => slowClient(listening, "close")));
  try {
    const grown = process.memoryUsage.rss() - before;
    // Of a socket of node:net it is the runtime that keeps what was not taken.
    assert.ok(isShared() || grown < 10 * bytes.length, `${grown} bytes for 20 times ${bytes.length}`);
    const [first] = clients;
    assert.ok(first !== undefined);
    assert.equal((await restOf(first))?.length, bytes.length);
  } finally {
    for (const client of clients) client.socket.destroy();
    await listening.kill();
  }
});

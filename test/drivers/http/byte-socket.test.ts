/** `takeOver`: the same bytes and events by the native handle, where the runtime has one, and by the stream. */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import process from "node:process";
import { test } from "node:test";

import { takeOver } from "@posthaste/shared/drivers/http/byte-socket.ts";

import { listen } from "../../support/receiver.ts";

/** A connected socket; `answer` plays the peer. */
async function connected(answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    answer(socket);
  });
  const listening = await listen(server, () => {
    for (const each of sockets) each.destroy();
  });
  const socket = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  await new Promise<void>((resolve) => void socket.once("connect", resolve));
  return { socket, listening };
}

/** The socket without its native handle. */
function withoutHandle(socket: Socket): Socket {
  return new Proxy(socket, {
    get: (target, name) => {
      if (name === "_handle") return null;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}

test("on Bun the stream of the socket is bypassed", async () => {
  const { socket, listening } = await connected(() => undefined);
  await using _ = listening;
  const taken = takeOver(socket, { onData: () => undefined, onEnd: () => undefined, onClose: () => undefined });
  assert.equal(socket.listenerCount("data"), process.versions["bun"] === undefined ? 1 : 0);
  taken.destroy();
});

for (const way of ["as the runtime allows", "by the stream"]) {
  test(`what the kernel has no room for follows, though its bytes are overwritten meanwhile: ${way}`, async () => {
    const byteCount = 8 * 1024 * 1024;
    let tell = (_seen: string): void => undefined;
    const told = new Promise<string>((resolve) => (tell = resolve));
    let letRead = (): void => undefined;
    const { socket, listening } = await connected((peer) => {
      let seen = 0;
      let odd = 0;
      peer.pause();
      letRead = () => void peer.resume();
      peer.on("data", (chunk: Buffer) => {
        seen += chunk.length;
        odd += chunk.filter((byte) => byte !== 97).length;
        if (seen === byteCount) peer.end(`${seen} ${odd}`);
      });
    });
    await using _ = listening;
    const events: string[] = [];
    let text = "";
    const taken = takeOver(way === "by the stream" ? withoutHandle(socket) : socket, {
      onData: (chunk) => (text += chunk.toString()),
      onEnd: () => {
        events.push("end");
        tell(text);
      },
      onClose: () => void events.push("close"),
    });
    const bytes = Buffer.alloc(byteCount / 2, "a");
    taken.write(bytes);
    taken.write(bytes);
    bytes.fill("b");
    letRead();
    assert.equal(await told, `${byteCount} 0`);
    assert.deepEqual(events, ["end"]);
    taken.destroy();
  });
}

/** Requests are written at the end of the turn of the event loop in which they became ready. */
import assert from "node:assert/strict";
import { test as testAlone } from "node:test";

import { createOutbox } from "@posthaste/shared/drivers/http/outbox.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";

import {
  CLIENTS,
  OK_ANSWER,
  assertAnswer,
  assertFault,
  openRawReceiver,
  openerOf,
  post,
  running,
  testWith,
} from "../../support/receiver.ts";

/** A clock whose turns of the event loop end when the test says so. */
function heldTurns() {
  let callbacks: (() => void)[] = [];
  let isHeld = false;
  const clock: Clock = {
    ...systemClock,
    soon: (callback) => void (isHeld ? callbacks.push(callback) : systemClock.soon(callback)),
  };
  return {
    clock,
    hold: () => void (isHeld = true),
    end() {
      isHeld = false;
      const due = callbacks;
      callbacks = [];
      for (const callback of due) callback();
    },
  };
}

testAlone(
  "what is added in one turn is written in the order of adding, once, and what a turn adds at its end in the next",
  () => {
    const turns = heldTurns();
    turns.hold();
    const written: string[] = [];
    const outbox = createOutbox(turns.clock);
    const add = (name: string): void => outbox.add({ writeOut: () => void written.push(name) });
    outbox.add({
      writeOut() {
        written.push("a");
        turns.hold();
        add("c");
      },
    });
    add("b");
    assert.deepEqual(written, []);
    turns.end();
    assert.deepEqual(written, ["a", "b"]);
    turns.end();
    assert.deepEqual(written, ["a", "b", "c"]);
  },
);

// undici writes by its own rules.
for (const client of CLIENTS.filter((name) => name === "runtime")) {
  const test = testWith(client);
  const openTransport = openerOf(client);

  test("what a kept connection brings before its next request is written is no answer to that", async () => {
    const turns = heldTurns();
    let unasked = (): void => undefined;
    const closed = Promise.withResolvers<void>();
    await using receiver = await openRawReceiver((socket, nth) => {
      socket.write(nth === 1 ? OK_ANSWER : OK_ANSWER.replace("ok", "no"));
      if (nth > 1) return;
      unasked = () => void socket.write(OK_ANSWER);
      socket.on("close", closed.resolve);
    });
    await using transport = openTransport({ clock: turns.clock, connectionsMax: 1 });
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    turns.hold();
    const second = transport.send(post(receiver.url), running);
    unasked();
    await closed.promise;
    turns.end();
    assertAnswer(await second, 200, "no");
    assert.deepEqual(receiver.seen, { sockets: 2, requests: 2 });
  });

  test("the first request of a connection is written at once", async () => {
    const turns = heldTurns();
    await using receiver = await openRawReceiver((socket) => void socket.write(OK_ANSWER));
    await using transport = openTransport({ clock: turns.clock });
    turns.hold();
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
  });

  test("a request that is given up in the turn in which it is ready is not written", async () => {
    const turns = heldTurns();
    await using receiver = await openRawReceiver((socket) => void socket.write(OK_ANSWER));
    await using transport = openTransport({ clock: turns.clock });
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    turns.hold();
    const stop = new AbortController();
    const given = transport.send(post(receiver.url), stop.signal);
    stop.abort();
    assertFault(await given, "aborted", /./);
    turns.end();
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
    assert.deepEqual(receiver.seen, { sockets: 2, requests: 2 });
  });
}

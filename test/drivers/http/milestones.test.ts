/** What a request that asks for milestones is told, over real sockets: when its name, connection, TLS and first byte were there. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:https";
import { test as testAlone } from "node:test";

import type { AttemptResult, Milestone } from "@posthaste/shared/domain/attempt.ts";
import { MilestoneRecord } from "@posthaste/shared/drivers/http/milestones.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import { documentedAttemptEvents } from "../../support/documented-spans.ts";
import type { Receiver } from "../../support/receiver.ts";
import {
  CLIENTS,
  OK_ANSWER,
  answering,
  assertAnswer,
  assertFault,
  listen,
  openRawReceiver,
  openerOf,
  post,
  readThen,
  running,
  testWith,
} from "../../support/receiver.ts";

function pem(name: string): string {
  return readFileSync(new URL(`../../support/tls/${name}.pem`, import.meta.url).pathname, "utf8");
}

function openTlsReceiver(): Promise<Receiver> {
  const answer = readThen((_request, response) => void response.end("ok"));
  const server = createTlsServer({ key: pem("receiver-key"), cert: pem("receiver") }, answer);
  return listen(server, () => server.closeAllConnections());
}

/** Checks that they came in the order of time and within the attempt, and gives the names. */
async function milestonesOf(transport: Transport, url: string): Promise<{ result: AttemptResult; names: string[] }> {
  const milestones: Milestone[] = [];
  const result = await transport.send(post(url, { milestones }), running);
  const times = [0, ...milestones.map(({ sinceStartMs }) => sinceStartMs), result.durationMs];
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  return { result, names: milestones.map(({ name }) => name) };
}

testAlone("what a connection had behind it before the attempt began is left out, and nothing is told twice", () => {
  const milestones: Milestone[] = [];
  const record = new MilestoneRecord({ monotonic: () => 130 }, 100, milestones);
  record.opened({ lookedUpAtMs: 98, connectedAtMs: 99, securedAtMs: 110 });
  record.reached("first-byte");
  record.reached("first-byte");
  assert.deepEqual(milestones, [
    { name: "tls", sinceStartMs: 10 },
    { name: "first-byte", sinceStartMs: 30 },
  ]);
});

for (const client of CLIENTS) {
  const test = testWith(client);
  const openTransport = openerOf(client);
  const resolve = answering(["127.0.0.1"]);

  test("a new connection over TLS has all milestones, a kept one the first byte alone", async () => {
    await using receiver = await openTlsReceiver();
    await using transport = openTransport({ certificateAuthorities: [pem("authority")], resolve, connectionsMax: 1 });
    const url = `https://receiver.test:${receiver.port}/`;
    const first = await milestonesOf(transport, url);
    assertAnswer(first.result, 200, "ok");
    assert.deepEqual(first.names, ["dns", "connect", "tls", "first-byte"]);
    assert.deepEqual(first.names, documentedAttemptEvents());
    const second = await milestonesOf(transport, url);
    assertAnswer(second.result, 200, "ok");
    assert.deepEqual(second.names, ["first-byte"]);
  });

  test("a request that asks for none changes nothing for the next on its connection", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport({ resolve, connectionsMax: 1 });
    const url = `http://receiver.test:${receiver.port}/`;
    assertAnswer(await transport.send(post(url), running), 200, "ok");
    assert.deepEqual((await milestonesOf(transport, url)).names, ["first-byte"]);
    assertAnswer(await transport.send(post(url), running), 200, "ok");
    assert.deepEqual(receiver.seen, { sockets: 1, requests: 3 });
  });

  test("plain HTTP has no TLS, and an address of the URL no look-up", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport();
    assert.deepEqual((await milestonesOf(transport, receiver.url)).names, ["connect", "first-byte"]);
  });

  test("a kept connection that had ended: those of the new one that takes its place", async () => {
    await using receiver = await openRawReceiver((socket, nth) => {
      if (nth === 2) socket.destroy();
      else socket.write(OK_ANSWER);
    });
    await using transport = openTransport({ resolve, connectionsMax: 1 });
    const url = `http://receiver.test:${receiver.port}/`;
    assertAnswer((await milestonesOf(transport, url)).result, 200, "ok");
    const again = await milestonesOf(transport, url);
    assertAnswer(again.result, 200, "ok");
    assert.deepEqual(again.names, ["dns", "connect", "first-byte"]);
  });

  test("a connection that another request used first was not opened for the one that waited", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport({ resolve, connectionsMax: 1 });
    const url = `http://receiver.test:${receiver.port}/`;
    const both = await Promise.all([milestonesOf(transport, url), milestonesOf(transport, url)]);
    assert.deepEqual(
      both.map(({ names }) => names),
      [
        ["dns", "connect", "first-byte"],
        ["dns", "first-byte"],
      ],
    );
    assert.deepEqual(receiver.seen, { sockets: 1, requests: 2 });
  });

  test("a failed attempt has what it reached", async () => {
    const closed = await openRawReceiver(() => undefined);
    await closed[Symbol.asyncDispose]();
    await using tls = await openTlsReceiver();
    await using silent = await openRawReceiver((socket) => socket.destroy());
    await using transport = openTransport({ resolve, connectionsMax: 1 });
    const refused = await milestonesOf(transport, `http://receiver.test:${closed.port}/`);
    assertFault(refused.result, "connect-refused", /refused/);
    assert.deepEqual(refused.names, ["dns"]);
    const untrusted = await milestonesOf(transport, `https://receiver.test:${tls.port}/`);
    assertFault(untrusted.result, "tls", /handshake failed/);
    assert.deepEqual(untrusted.names, ["dns", "connect"]);
    const cut = await milestonesOf(transport, `http://receiver.test:${silent.port}/`);
    assertFault(cut.result, "reset", /closed|reset/);
    assert.deepEqual(cut.names, ["dns", "connect"]);
  });

  test("a name that does not resolve has none", async () => {
    await using transport = openTransport({
      resolve: () => Promise.resolve({ kind: "none", reason: "there is no such name" }),
    });
    const { result, names } = await milestonesOf(transport, "http://nobody.test/");
    assertFault(result, "dns", /no such name/);
    assert.deepEqual(names, []);
  });
}

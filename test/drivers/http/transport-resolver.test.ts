/** The transport's promises on look-ups (`ports/transport.ts`): who waits for a name, what that counts as, what is told. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { Socket } from "node:net";

import { FOUND_MS_MAX, LOOK_UP_MS_MAX } from "@posthaste/shared/drivers/http/look-ups.ts";
import { faultOf } from "@posthaste/shared/drivers/http/network-fault.ts";
import type { AddressResolver } from "@posthaste/shared/drivers/http/resolver.ts";
import { createSystemResolver } from "@posthaste/shared/drivers/http/system-resolver.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";

import { openNameServer } from "../../support/name-server.ts";
import {
  CLIENTS,
  OK_ANSWER,
  TENANT,
  answering,
  assertAnswer,
  assertFault,
  found,
  openRawReceiver,
  openerOf,
  post,
  running,
  silentResolver,
  testWith,
} from "../../support/receiver.ts";

/** Names under `good.test` are on the loopback, no other is ever answered. */
const someSilent: AddressResolver = (name) =>
  name.endsWith("good.test") ? Promise.resolve(found(["127.0.0.1"])) : new Promise(() => undefined);

for (const client of CLIENTS) {
  const test = testWith(client);
  const openTransport = openerOf(client);

  test("a resolver that never answers is no fault of the endpoint, and ends with the request's deadline", async () => {
    await using transport = openTransport({ resolve: silentResolver });
    const result = await transport.send(post("http://slow.test/", { timeoutMs: 100 }), running);
    assertFault(result, "resolver", /^no name server answered for slow\.test within 100 ms$/);
  });

  test("a look-up ends by its own deadline when the request's is later", async () => {
    // Time runs a hundred times as fast for whoever waits.
    const timer = (ms: number, callback: () => void) => systemClock.timer(ms / 100, callback);
    const deadline = (ms: number, parent?: AbortSignal) => systemClock.deadline(ms / 100, parent);
    await using transport = openTransport({ clock: { ...systemClock, timer, deadline }, resolve: silentResolver });
    const result = await transport.send(post("http://slow.test/", { timeoutMs: 15_000 }), running);
    assertFault(result, "resolver", new RegExp(`within ${LOOK_UP_MS_MAX} ms$`));
  });

  test("sixty endpoints on zones that never answer hold up no other tenant, and a stop ends them at once", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport({ resolve: someSilent });
    const stopping = new AbortController();
    const hanging = Array.from({ length: 60 }, (_, nth) =>
      transport.send(post(`http://h${nth}.silent.test/`, { tenant: "silent", stopping: stopping.signal }), running),
    );
    const url = `http://good.test:${receiver.port}/`;
    assertAnswer(await transport.send(post(url, { tenant: "healthy" }), running), 200, "ok");
    stopping.abort();
    for (const result of await Promise.all(hanging)) assertFault(result, "aborted", /stopping/);
  });

  test("the system's own resolver waits for silent zones beside others, and closing ends it", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using server = await openNameServer((name, type) =>
      name.endsWith("silent.test") ? null : type === "A" ? { addresses: ["127.0.0.1"] } : {},
    );
    const files = { hosts: null, resolvConf: null };
    const resolve = createSystemResolver({ clock: systemClock, nameServers: [server.address], files });
    const transport = openTransport({ resolve });
    const hanging = Array.from({ length: 60 }, (_, nth) =>
      transport.send(post(`http://h${nth}.silent.test/`, { tenant: "silent", timeoutMs: 15_000 }), running),
    );
    await server.untilAsked(2);
    const url = `http://good.test:${receiver.port}/`;
    assertAnswer(await transport.send(post(url, { tenant: "healthy" }), running), 200, "ok");
    await transport[Symbol.asyncDispose]();
    for (const result of await Promise.all(hanging)) assertFault(result, "aborted", /stopping/);
  });

  test("a stop leaves a request that has its address to its end", async () => {
    const stopping = new AbortController();
    await using receiver = await openRawReceiver((socket) => {
      stopping.abort();
      socket.write(OK_ANSWER);
    });
    await using transport = openTransport();
    const request = post(`http://127.0.0.1:${receiver.port}/`, { stopping: stopping.signal });
    assertAnswer(await transport.send(request, running), 200, "ok");
  });

  test("dead addresses before a good one do not keep it from being reached, however many", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    const dead = [
      "127.0.0.2",
      "127.0.0.3",
      "127.0.0.4",
      "127.0.0.5",
      "127.0.0.6",
      "127.0.0.7",
      "127.0.0.8",
      "127.0.0.9",
    ];
    await using transport = openTransport({ resolve: answering([...dead, "127.0.0.1"]) });
    assertAnswer(await transport.send(post(`http://receiver.test:${receiver.port}/`), running), 200, "ok");
  });

  test("the address that worked for an origin is dialled first from then on, as long as the name still has it", async () => {
    const reached: string[] = [];
    const answer = (address: string) => (socket: Socket) => {
      reached.push(address);
      socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    };
    await using one = await openRawReceiver(answer("127.0.0.1"));
    const second = createServer((socket) => void socket.once("data", () => answer("127.0.0.2")(socket)));
    await new Promise<void>((resolve) => void second.listen(one.port, "127.0.0.2", resolve));
    try {
      const resolutions = [["127.0.0.3", "127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1"]];
      let laterMs = 0;
      const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + laterMs };
      const resolve: AddressResolver = () => Promise.resolve(found(resolutions.shift() ?? []));
      await using transport = openTransport({ clock, resolve });
      for (let round = 0; round < 3; round++) {
        assertAnswer(await transport.send(post(`http://receiver.test:${one.port}/`), running), 200, "");
        laterMs += FOUND_MS_MAX;
      }
    } finally {
      second.close();
    }
    assert.deepEqual(reached, ["127.0.0.2", "127.0.0.2", "127.0.0.1"]);
  });

  test("what this machine lacks is its own fault, and none of the receiver", () => {
    for (const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]) {
      const { fault, detail } = faultOf(Object.assign(new Error(`connect ${code} 10.1.2.3:443`), { code }));
      assert.equal(fault, "exhausted");
      assert.match(detail, /^this (?:machine|process) has no /);
    }
  });

  test("nothing that a tenant reads names an address that his URL does not name", async () => {
    await using transport = openTransport({ allow: [], resolve: answering(["10.1.2.3", "fd00::7"]) });
    const vetting = await transport.vet("https://inner.test/", TENANT, running);
    const result = await transport.send(post("https://inner.test/"), running);
    const told = JSON.stringify([vetting, result]);
    assert.match(told, /the host inner\.test is not allowed/);
    assert.doesNotMatch(told, /10\.1\.2\.3|fd00|private|unique local/);
    // What a runtime says of a connect that failed names both ends.
    const error = Object.assign(new Error("connect EACCES 10.1.2.3:443 - Local (192.168.7.7:40112)"), {
      code: "EACCES",
    });
    assert.deepEqual(faultOf(error), { fault: "unreachable", detail: "the network failed (EACCES)" });
  });
}

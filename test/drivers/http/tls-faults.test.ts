/** What an endpoint's owner reads of a TLS handshake that failed: sentences of our own, and neither library's words. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { faultOf } from "@posthaste/shared/drivers/http/network-fault.ts";
import { tlsDetail } from "@posthaste/shared/drivers/http/tls-fault.ts";
import { answering, assertFault, CLIENTS, listen, openerOf, post, running, testWith } from "../../support/receiver.ts";

const alert = (description: number): Buffer => Buffer.from([0x15, 3, 1, 0, 2, 2, description]);
const send = (bytes: Buffer) => (socket: Socket) => void socket.end(bytes);

const REFUSED = "the receiver refused it, or has no cipher in common";
/** Deno has the code of a refused handshake for this alert, too. */
const NO_SUCH_NAME = process.versions["deno"] === undefined ? "the receiver does not know this name" : REFUSED;

/** Alerts of RFC 8446 section 6.2, and what is no TLS at all. */
const receivers: readonly (readonly [string, (socket: Socket) => void, string])[] = [
  ["refuses the handshake", send(alert(40)), REFUSED],
  ["knows no such name", send(alert(112)), NO_SUCH_NAME],
  ["fails itself", send(alert(80)), "the receiver says that it failed itself"],
  ["takes older TLS alone", send(alert(70)), "the receiver takes no version of TLS that is still safe"],
  ["takes no HTTP/1.1", send(alert(120)), "the receiver does not take HTTP/1.1"],
  ["refuses our certificate", send(alert(42)), "the receiver refused it"],
  [
    "answers in plain HTTP",
    send(Buffer.from("HTTP/1.1 400 B\r\n\r\n")),
    "the receiver does not speak TLS at this port",
  ],
  [
    "closes at once",
    (socket) => void socket.destroy(),
    "the receiver closed the connection before the handshake was over",
  ],
  [
    "resets at once",
    (socket) => void socket.resetAndDestroy(),
    "the receiver closed the connection before the handshake was over",
  ],
];

async function openPlain(answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    socket.once("data", () => answer(socket));
  });
  return listen(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

function pem(name: string): string {
  return readFileSync(new URL(`../../support/tls/${name}.pem`, import.meta.url).pathname, "utf8");
}

for (const client of CLIENTS) {
  const test = testWith(client);
  const openTransport = openerOf(client);

  for (const [what, answer, why] of receivers) {
    test(`a receiver that ${what} is told of in our own words`, async () => {
      await using receiver = await openPlain(answer);
      await using transport = openTransport({ resolve: answering(["127.0.0.1"]) });
      const result = await transport.send(post(`https://inner.test:${receiver.port}/`), running);
      assertFault(result, "tls", new RegExp(`^the TLS handshake failed: ${why}$`));
    });
  }

  test("neither the names in a certificate nor the library's words on it are told", async () => {
    await using receiver = await listen(
      createTlsServer({ key: pem("receiver-key"), cert: pem("receiver") }, (socket) => void socket.end()),
      () => undefined,
    );
    const url = `https://inner.test:${receiver.port}/`;
    for (const [certificateAuthorities, why] of [
      [[], "the certificate is of an authority that is not known, or its chain is incomplete"],
      [[pem("authority")], "the certificate is for another name"],
    ] as const) {
      await using transport = openTransport({ resolve: answering(["127.0.0.1"]), certificateAuthorities });
      assertFault(await transport.send(post(url), running), "tls", new RegExp(`^the TLS handshake failed: ${why}$`));
    }
  });

  test("a code that nobody has heard of is not passed on, and an alert behind the handshake is TLS's", () => {
    assert.equal(tlsDetail("ERR_SSL_BAD_ECPOINT"), "the TLS handshake failed");
    assert.equal(tlsDetail(""), "the TLS handshake failed");
    const late = Object.assign(new Error("error:1000045c:SSL routines"), {
      code: "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    });
    assert.deepEqual(faultOf(late), {
      fault: "tls",
      detail: "the TLS handshake failed: the receiver wants a certificate of the sender, and there is none",
    });
    const inner = Object.assign(new Error("x"), { code: "UND_ERR_INFO" });
    assert.deepEqual(faultOf(inner), { fault: "unreachable", detail: "the network failed" });
  });
}

/** The transport's promises on addresses, names and TLS (`ports/transport.ts`): what is forbidden gets no packet. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:https";
import type { TLSSocket } from "node:tls";

import { FOUND_MS_MAX } from "@posthaste/shared/drivers/http/look-ups.ts";
import type { Resolution } from "@posthaste/shared/drivers/http/resolver.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";

import type { Receiver } from "../../support/receiver.ts";
import {
  CLIENTS,
  OK_ANSWER,
  TENANT,
  answering,
  assertAnswer,
  assertFault,
  found,
  listen,
  openRawReceiver,
  openReceiver,
  openerOf,
  post,
  readThen,
  running,
  silentResolver,
  testWith,
} from "../../support/receiver.ts";

const authority = pem("authority");
const PUBLIC_ADDRESS = "93.184.215.14";

function pem(name: string): string {
  return readFileSync(new URL(`../../support/tls/${name}.pem`, import.meta.url).pathname, "utf8");
}

/** Answers with the server name that the client indicated. */
async function openTlsReceiver(name = "receiver"): Promise<Receiver> {
  const answer = readThen((request, response) => {
    response.end(`${String((request.socket as TLSSocket).servername)} ${request.headers.host ?? ""}`);
  });
  const server = createTlsServer({ key: pem(`${name}-key`), cert: pem(name) }, answer);
  return listen(server, () => server.closeAllConnections());
}

for (const client of CLIENTS) {
  const test = testWith(client);
  const openTransport = openerOf(client);

  function openStrict(addresses: readonly string[] = []): Transport {
    return openTransport({ allow: [], resolve: answering(addresses) });
  }

  const forbiddenHosts = [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "017700000001",
    "127.1",
    "127.0.0.1.",
    "0.0.0.0",
    "0",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
  ];
  for (const host of forbiddenHosts) {
    test(`the literal host ${host} is refused before a connection`, async () => {
      await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
      await using transport = openStrict();
      assertFault(await transport.send(post(`http://${host}:${receiver.port}/`), running), "forbidden-address", /\w/);
      assert.equal((await transport.vet(`http://${host}/`, TENANT, running)).kind, "forbidden");
      assert.deepEqual(receiver.seen, { sockets: 0, requests: 0 });
    });
  }

  test("a name is refused when any of its addresses is forbidden, in whichever order", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    for (const addresses of [
      [PUBLIC_ADDRESS, "127.0.0.1"],
      ["127.0.0.1", PUBLIC_ADDRESS],
      ["::ffff:127.0.0.1"],
      ["127.1"],
      ["nonsense"],
    ]) {
      await using transport = openStrict(addresses);
      const url = `http://mixed.test:${receiver.port}/`;
      assertFault(
        await transport.send(post(url), running),
        "forbidden-address",
        /^the host mixed\.test is not allowed: it resolves to an address that deliveries must not reach$/,
      );
      assert.equal((await transport.vet(url, TENANT, running)).kind, "forbidden");
    }
    assert.deepEqual(receiver.seen, { sockets: 0, requests: 0 });
  });

  test("a name that was public when vetted and is private at connect is refused", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    const answers = [[PUBLIC_ADDRESS], ["127.0.0.1"]];
    const resolve = (): Promise<Resolution> => Promise.resolve(found(answers.shift() ?? []));
    const time = { ms: 0 };
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + time.ms };
    await using transport = openTransport({ allow: [], clock, resolve });
    const url = `http://rebinding.test:${receiver.port}/`;
    assert.deepEqual(await transport.vet(url, TENANT, running), { kind: "allowed" });
    time.ms += FOUND_MS_MAX;
    assertFault(
      await transport.send(post(url), running),
      "forbidden-address",
      /^the host rebinding\.test is not allowed/,
    );
    assert.deepEqual(receiver.seen, { sockets: 0, requests: 0 });
  });

  test("the name is resolved by the given resolver once for each connection, and the Host field stays the name", async () => {
    const asked: string[] = [];
    let head = "";
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using tls = await openTlsReceiver();
    await using transport = openTransport({
      connectionsMax: 1,
      certificateAuthorities: [authority],
      resolve: (host) => {
        asked.push(host);
        return Promise.resolve(found(["127.0.0.1"]));
      },
    });
    for (let round = 0; round < 3; round++) {
      assertAnswer(await transport.send(post(`http://receiver.test:${receiver.port}/`), running), 200, "ok");
    }
    assert.deepEqual(asked, ["receiver.test"]);
    const result = await transport.send(post(`https://receiver.test:${tls.port}/`), running);
    if (result.kind === "answered") head = result.bodyExcerpt;
    assert.equal(head, `receiver.test receiver.test:${tls.port}`);
  });

  test("the next address is dialled when one refuses", async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using transport = openTransport({ resolve: answering(["127.0.0.2", "127.0.0.3", "127.0.0.1"]) });
    assertAnswer(await transport.send(post(`http://receiver.test:${receiver.port}/`), running), 200, "ok");
  });

  test("a name that does not resolve is a dns fault", async () => {
    const reason = "the name nobody.test does not resolve (ENOTFOUND)";
    await using failing = openTransport({ resolve: () => Promise.resolve({ kind: "none", reason }) });
    assertFault(
      await failing.send(post("http://nobody.test/"), running),
      "dns",
      /^the name nobody\.test does not resolve/,
    );
  });

  test("the system's resolver is asked when none is given", async () => {
    await using transport = openTransport();
    assertFault(
      await transport.send(post("http://nobody.invalid/"), running),
      "dns",
      /nobody\.invalid does not resolve/,
    );
  });

  test("vet() tells allowed, forbidden and unresolved apart, and ends with its signal", async () => {
    await using allowed = openStrict([PUBLIC_ADDRESS, "2606:4700::1111"]);
    assert.deepEqual(await allowed.vet("https://public.test/", TENANT, running), { kind: "allowed" });
    assert.deepEqual(await allowed.vet(`https://${PUBLIC_ADDRESS}/`, TENANT, running), { kind: "allowed" });
    assert.equal((await allowed.vet("not a URL", TENANT, running)).kind, "unresolved");
    await using forbidden = openStrict(["10.1.2.3"]);
    assert.equal((await forbidden.vet("https://private.test/", TENANT, running)).kind, "forbidden");
    await using empty = openTransport({ resolve: () => Promise.resolve({ kind: "none", reason: "no such name" }) });
    assert.equal((await empty.vet("https://nobody.test/", TENANT, running)).kind, "unresolved");
    await using hanging = openTransport({ resolve: silentResolver });
    const stop = new AbortController();
    const vetting = hanging.vet("https://slow.test/", TENANT, stop.signal);
    stop.abort();
    assert.equal((await vetting).kind, "unresolved");
  });

  test("proxies named in the environment are not used, also when they are set while running", async () => {
    await using proxy = await openRawReceiver((socket) =>
      socket.write("HTTP/1.1 502 Proxied\r\ncontent-length: 0\r\n\r\n"),
    );
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    await using tls = await openTlsReceiver();
    const options = { resolve: answering(["127.0.0.1"]), certificateAuthorities: [authority] };
    await using earlier = openTransport(options);
    const names = [
      "HTTP_PROXY",
      "http_proxy",
      "HTTPS_PROXY",
      "https_proxy",
      "ALL_PROXY",
      "all_proxy",
      "NODE_USE_ENV_PROXY",
    ];
    const before = names.map((name) => process.env[name]);
    for (const name of names)
      process.env[name] = name === "NODE_USE_ENV_PROXY" ? "1" : `http://127.0.0.1:${proxy.port}`;
    try {
      await using later = openTransport(options);
      for (const transport of [earlier, later]) {
        assertAnswer(await transport.send(post(`http://receiver.test:${receiver.port}/`), running), 200, "ok");
        const result = await transport.send(post(`https://receiver.test:${tls.port}/`), running);
        assertAnswer(result, 200, `receiver.test receiver.test:${tls.port}`);
      }
    } finally {
      for (const [index, name] of names.entries()) {
        const value = before[index];
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
    assert.equal(proxy.seen.sockets, 0);
  });

  test("TLS to an address checks the certificate against the address and indicates no server name", async () => {
    await using receiver = await openTlsReceiver();
    await using transport = openTransport({ certificateAuthorities: [authority] });
    const result = await transport.send(post(`https://127.0.0.1:${receiver.port}/`), running);
    assert.equal(result.kind, "answered", JSON.stringify(result));
    assert.doesNotMatch(result.bodyExcerpt.split(" ")[0] ?? "", /\d/);
    assertFault(
      await transport.send(post(`https://127.0.0.2:${receiver.port}/`), running),
      "connect-refused",
      /refused/,
    );
  });

  test("a certificate for another name is refused", async () => {
    await using receiver = await openTlsReceiver();
    await using transport = openTransport({ certificateAuthorities: [authority], resolve: answering(["127.0.0.1"]) });
    const url = `https://other.test:${receiver.port}/`;
    assertFault(await transport.send(post(url), running), "tls", /handshake failed/);
  });

  test("a certificate that names its host as common name alone is refused", async () => {
    await using receiver = await openTlsReceiver("common-name");
    await using transport = openTransport({
      certificateAuthorities: [pem("common-name-authority")],
      resolve: answering(["127.0.0.1"]),
    });
    const url = `https://receiver.test:${receiver.port}/`;
    assertFault(await transport.send(post(url), running), "tls", /handshake failed/);
  });

  test("of two names at one address each is checked against the certificate, also beside a kept connection", async () => {
    await using receiver = await openTlsReceiver();
    await using transport = openTransport({ certificateAuthorities: [authority], resolve: answering(["127.0.0.1"]) });
    for (let round = 0; round < 2; round++) {
      const good = await transport.send(post(`https://receiver.test:${receiver.port}/`), running);
      assertAnswer(good, 200, `receiver.test receiver.test:${receiver.port}`);
      const bad = await transport.send(post(`https://other.test:${receiver.port}/`), running);
      assertFault(bad, "tls", /handshake failed/);
    }
  });

  test("a certificate of an unknown authority is refused, whatever the environment says", async () => {
    await using receiver = await openTlsReceiver();
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      await using transport = openTransport({ resolve: answering(["127.0.0.1"]) });
      const url = `https://receiver.test:${receiver.port}/`;
      assertFault(await transport.send(post(url), running), "tls", /handshake failed/);
    } finally {
      if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
    }
  });

  test("https to a server that speaks plain HTTP is a tls fault", async () => {
    await using receiver = await openReceiver((_request, response) => response.end("ok"));
    await using transport = openTransport();
    assertFault(await transport.send(post(`https://127.0.0.1:${receiver.port}/`), running), "tls", /handshake failed/);
  });

  test("a TLS handshake that is never answered ends with the request's deadline", async () => {
    await using receiver = await openRawReceiver(() => undefined);
    await using transport = openTransport();
    const result = await transport.send(post(`https://127.0.0.1:${receiver.port}/`, { timeoutMs: 150 }), running);
    assertFault(result, "timeout", /within 150 ms/);
    assert.deepEqual(receiver.seen, { sockets: 1, requests: 0 });
  });
}

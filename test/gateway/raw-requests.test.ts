/**
 * What comes over the wire, byte for byte, at a listening gateway: each request has one clear answer, nothing is taken for a
 * request that is none, and every refusal is a problem.
 */
import assert from "node:assert/strict";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { ERRORS } from "@posthaste/shared/domain/errors.ts";
import type { Listening } from "@posthaste/shared/drivers/http/server/serve.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";
import { onEachListener } from "../support/on-each-listener.ts";
import type { RawAnswer } from "../support/raw-client.ts";
import { rawClient } from "../support/raw-client.ts";

const { test, isShared } = onEachListener();

interface Server extends AsyncDisposable {
  readonly harness: GatewayHarness;
  readonly listening: Listening;
}

async function openServer(connectionsMax = 100): Promise<Server> {
  const harness = await openGatewayHarness();
  const listening = await serveHttp({
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    portSetting: "PORT",
    isShared: isShared(),
    connectionsMax,
    fetch: harness.gateway.fetch,
  });
  return {
    harness,
    listening,
    async [Symbol.asyncDispose]() {
      await listening.kill();
      await harness[Symbol.asyncDispose]();
    },
  };
}

const EVENT = '{"type":"a","data":1}';
const LENGTH = `content-length: ${EVENT.length}`;
const CHUNKED = "transfer-encoding: chunked";
const IN_CHUNKS = `${EVENT.length.toString(16)}\r\n${EVENT}\r\n`;
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

/** Of a case: a status, or the code of the problem. */
type Expected = number | ErrorCode;

interface Case {
  readonly name: string;
  readonly head: readonly string[];
  readonly body?: string;
  readonly expected: readonly Expected[];
  /** Whether the connection is of use afterwards. */
  readonly stays: boolean;
}

const post = (name: string, fields: readonly string[], body: string, expected: readonly Expected[], stays: boolean) => {
  const head = ["POST /v1/events HTTP/1.1", "host: x", "authorization: Bearer KEY", "content-type: application/json"];
  return { name, head: [...head, ...fields], body, expected, stays } satisfies Case;
};
const plain = (name: string, head: readonly string[], expected: readonly Expected[], stays: boolean, body = "") =>
  ({ name, head, body, expected, stays }) satisfies Case;

const cases: readonly Case[] = [
  // RFC 9110 section 10.1.1
  post("Expect: 100-continue with the body at once", ["expect: 100-continue", LENGTH], EVENT, [202], true),
  post("Expect: 100-CONTINUE with the body at once", ["Expect: 100-CONTINUE", LENGTH], EVENT, [202], true),
  post("an expectation that is not known", ["expect: 200-ok", LENGTH], EVENT, ["expectation-failed"], false),
  plain(
    "Expect without a key: no 100, and the body may never come",
    ["POST /v1/events HTTP/1.1", "host: x", "expect: 100-continue", LENGTH],
    ["unauthenticated"],
    false,
  ),
  // RFC 9112 section 6.3
  post("two equal Content-Lengths", [LENGTH, LENGTH], EVENT, ["invalid-request"], false),
  post("two Content-Lengths that differ", [LENGTH, "content-length: 3"], EVENT, ["invalid-request"], false),
  post("a list of Content-Lengths", ["content-length: 21, 22"], EVENT, ["invalid-request"], false),
  post("Content-Length with a sign", ["content-length: +21"], EVENT, ["invalid-request"], false),
  post("a negative Content-Length", ["content-length: -1"], EVENT, ["invalid-request"], false),
  post("Content-Length in hexadecimal", ["content-length: 0x15"], EVENT, ["invalid-request"], false),
  post("an empty Content-Length", ["content-length:"], EVENT, ["invalid-request"], false),
  post("a Content-Length past all numbers", [`content-length: ${"9".repeat(30)}`], EVENT, ["invalid-request"], false),
  post("a Content-Length past the bound", ["content-length: 300000"], "x".repeat(300_000), ["body-too-large"], true),
  post("a space before the colon", ["content-length : 21"], EVENT, ["invalid-request"], false),
  post("a field folded over two lines", ["x-note: a", " b", LENGTH], EVENT, ["invalid-request"], false),
  post("a length folded into another field", ["x-note: a", ` ${LENGTH}`], EVENT, ["invalid-request"], false),
  post(
    "Content-Length beside chunked",
    ["content-length: 5", CHUNKED],
    `${IN_CHUNKS}0\r\n\r\n${SMUGGLED}`,
    ["invalid-request"],
    false,
  ),
  post(
    "chunked beside Content-Length",
    [CHUNKED, "content-length: 5"],
    `${IN_CHUNKS}0\r\n\r\n${SMUGGLED}`,
    ["invalid-request"],
    false,
  ),
  post("more bytes than were declared", [LENGTH], `${EVENT}${SMUGGLED}`, [202, "not-found"], true),
  post("what is no request behind one that is", [LENGTH], `${EVENT}nonsense\r\n\r\n`, [202, "invalid-request"], false),
  post(
    "a broken request behind one",
    [LENGTH],
    `${EVENT}GET / HTTP/1.1\r\nx y: 1\r\n\r\n`,
    [202, "invalid-request"],
    false,
  ),
  // RFC 9112 sections 6.1 and 7.1
  post("chunked", [CHUNKED], `${IN_CHUNKS}0\r\n\r\n`, [202], true),
  post("CHUNKED", ["Transfer-Encoding: CHUNKED"], `${IN_CHUNKS}0\r\n\r\n`, [202], true),
  post("chunked with an extension", [CHUNKED], `15;a="b"\r\n${EVENT}\r\n0\r\n\r\n`, [202], true),
  post("chunked with trailers", [CHUNKED], `${IN_CHUNKS}0\r\nx-sum: 1\r\n\r\n${SMUGGLED}`, [202, "not-found"], true),
  post("a length in the trailers", [CHUNKED], `${IN_CHUNKS}0\r\ncontent-length: 9\r\n\r\n`, ["invalid-request"], false),
  post("a chunk size that is none", [CHUNKED], `zz\r\n${EVENT}\r\n0\r\n\r\n`, ["invalid-request"], false),
  post("a negative chunk size", [CHUNKED], `-15\r\n${EVENT}\r\n0\r\n\r\n`, ["invalid-request"], false),
  post("a chunk size with 0x", [CHUNKED], `0x15\r\n${EVENT}\r\n0\r\n\r\n`, ["invalid-request"], false),
  post(
    "a chunk size that overflows",
    [CHUNKED],
    `10000000000000015\r\n${EVENT}\r\n0\r\n\r\n`,
    ["invalid-request"],
    false,
  ),
  post("a chunk longer than its size", [CHUNKED], `15\r\n${EVENT}xx0\r\n\r\n`, ["invalid-request"], false),
  post("chunks ended by LF alone", [CHUNKED], `15\n${EVENT}\n0\n\n`, ["invalid-request"], false),
  post("another transfer coding", ["transfer-encoding: gzip"], EVENT, ["transfer-coding-not-supported"], false),
  post("identity as transfer coding", ["transfer-encoding: identity", LENGTH], EVENT, ["invalid-request"], false),
  post(
    "gzip before chunked",
    ["transfer-encoding: gzip, chunked"],
    `${IN_CHUNKS}0\r\n\r\n`,
    ["transfer-coding-not-supported"],
    false,
  ),
  post(
    "chunked before gzip",
    ["transfer-encoding: chunked, gzip"],
    `${IN_CHUNKS}0\r\n\r\n`,
    ["invalid-request"],
    false,
  ),
  post(
    "chunked by another name",
    ["transfer-encoding: xchunked"],
    `${IN_CHUNKS}0\r\n\r\n`,
    ["transfer-coding-not-supported"],
    false,
  ),
  post(
    "two Transfer-Encodings",
    [CHUNKED, "transfer-encoding: identity"],
    `${IN_CHUNKS}0\r\n\r\n`,
    ["invalid-request"],
    false,
  ),
  // RFC 9110 section 15.5.16, RFC 7694
  post("gzip", ["content-encoding: gzip", LENGTH], EVENT, ["unsupported-media-type"], true),
  post("identity", ["Content-Encoding: Identity", LENGTH], EVENT, [202], true),
  post("two codings", ["content-encoding: identity, br", LENGTH], EVENT, ["unsupported-media-type"], true),
  // One field twice
  post("two keys", ["authorization: Bearer other", LENGTH], EVENT, ["unauthenticated"], true),
  post("two content types", ["content-type: text/plain", LENGTH], EVENT, ["unsupported-media-type"], true),
  plain("no Host", ["GET /livez HTTP/1.1"], ["invalid-header"], false),
  plain("two Hosts", ["GET /livez HTTP/1.1", "host: a", "host: b"], ["invalid-header"], false),
  plain("a Host that is none", ["GET /livez HTTP/1.1", "host: a b/c?<x>"], ["invalid-header"], false),
  plain("an empty Host", ["GET /livez HTTP/1.1", "host:"], [200], true),
  // RFC 9112 sections 2 and 3
  plain("HTTP/1.0", ["GET /livez HTTP/1.0"], [200], false),
  plain(
    "HTTP/1.0 with chunks",
    ["POST /v1/events HTTP/1.0", CHUNKED],
    ["invalid-request"],
    false,
    `${IN_CHUNKS}0\r\n\r\n`,
  ),
  plain("HTTP/1.2", ["GET /livez HTTP/1.2", "host: x"], ["version-not-supported"], false),
  plain("HTTP/9.9", ["GET /livez HTTP/9.9", "host: x"], ["version-not-supported"], false),
  plain("HTTP/2.0 as a request of HTTP/1", ["GET /livez HTTP/2.0", "host: x"], ["version-not-supported"], false),
  // Written otherwise than RFC 9112 sections 2.2 and 3 say, and not another version
  plain("a bare LF behind the version", ["GET /livez HTTP/1.1\nhost: x"], ["invalid-request"], false),
  plain("a space behind the version", ["GET /livez HTTP/1.1 ", "host: x"], ["invalid-request"], false),
  plain("a tab behind the version", ["GET /livez HTTP/1.1\t", "host: x"], ["invalid-request"], false),
  plain("a bare CR behind the version", ["GET /livez HTTP/1.1\rhost: x"], ["invalid-request"], false),
  plain("a version of two digits", ["GET /livez HTTP/1.11", "host: x"], ["invalid-request"], false),
  plain("a version without a dot", ["GET /livez HTTP/11", "host: x"], ["invalid-request"], false),
  plain("a version in letters", ["GET /livez HTTP/a.b", "host: x"], ["invalid-request"], false),
  plain("another protocol's name", ["GET /livez HTP/1.1", "host: x"], ["invalid-request"], false),
  plain("HTTP/0.9", ["GET /livez"], ["version-not-supported"], false),
  plain("HTTP/2 by prior knowledge", ["PRI * HTTP/2.0", "", "SM"], ["version-not-supported"], false),
  plain("an offer of HTTP/2", ["GET /livez HTTP/1.1", "host: x", "connection: upgrade", "upgrade: h2c"], [200], true),
  plain("TLS", ["\u0016\u0003\u0001\u0002\u0000\u0001\u0000"], ["invalid-request"], false),
  plain("a method in lower case", ["get /livez HTTP/1.1", "host: x"], ["invalid-request"], false),
  plain("a method that nobody knows", ["FOO /livez HTTP/1.1", "host: x"], ["invalid-request"], false),
  plain("CONNECT", ["CONNECT example.com:443 HTTP/1.1", "host: x"], ["method-not-allowed"], false),
  plain("TRACE", ["TRACE /livez HTTP/1.1", "host: x"], ["method-not-allowed"], true),
  plain("two spaces", ["GET  /livez HTTP/1.1", "host: x"], [200], true),
  plain("no target", ["GET HTTP/1.1", "host: x"], ["invalid-request"], false),
  plain("OPTIONS *", ["OPTIONS * HTTP/1.1", "host: x"], ["invalid-request"], false),
  plain("the absolute form", ["GET http://elsewhere.example/livez HTTP/1.1", "host: x"], [200], true),
  plain("an absolute form with half a host", ["GET http://[/livez HTTP/1.1", "host: x"], ["invalid-request"], false),
  plain(
    "an absolute form with port 99999",
    ["GET http://a:99999/livez HTTP/1.1", "host: x"],
    ["invalid-request"],
    false,
  ),
  plain("a path beyond ASCII", ["GET /\u00e4 HTTP/1.1", "host: x"], ["invalid-request"], false),
  plain("NUL in the path", ["GET /a\0b HTTP/1.1", "host: x"], ["invalid-request"], false),
  plain("NUL in a field", ["GET /livez HTTP/1.1", "host: x", "x-note: a\0b"], ["invalid-request"], false),
  plain("CR in a field", ["GET /livez HTTP/1.1", "host: x", "x-note: a\rb"], ["invalid-request"], false),
  plain("a field without a name", ["GET /livez HTTP/1.1", "host: x", ": a"], ["invalid-request"], false),
  plain("a line without a colon", ["GET /livez HTTP/1.1", "host: x", "note"], ["invalid-request"], false),
  plain("an empty line before", ["", "GET /livez HTTP/1.1", "host: x"], [200], true),
  plain("a long path", [`GET /${"a".repeat(20_000)} HTTP/1.1`, "host: x"], ["head-too-large"], false),
  plain("a long field", ["GET /livez HTTP/1.1", "host: x", `x-note: ${"a".repeat(20_000)}`], ["head-too-large"], false),
  plain(
    "300 fields",
    ["GET /livez HTTP/1.1", "host: x", ...Array.from({ length: 300 }, (_, nth) => `x${nth}: 1`)],
    ["head-too-large"],
    false,
  ),
  plain(
    "100 fields",
    ["GET /livez HTTP/1.1", "host: x", ...Array.from({ length: 100 }, (_, nth) => `x${nth}: 1`)],
    [200],
    true,
  ),
  plain(
    "a GET with a body",
    ["GET /livez HTTP/1.1", "host: x", "content-length: 5"],
    [200, 200],
    true,
    "helloGET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
  ),
  plain(
    "requests one behind the other",
    ["GET /livez HTTP/1.1", "host: x"],
    [200, 200, "not-found"],
    true,
    `GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n${SMUGGLED}`,
  ),
];

function assertAnswers(answers: readonly RawAnswer[], expected: readonly Expected[]): void {
  const told = answers.map(({ status, body }) => (status < 400 ? status : (JSON.parse(body) as { code: string }).code));
  assert.deepEqual(told, expected);
  for (const { status, headers, body } of answers) {
    if (status < 400) continue;
    assert.equal(headers.get("content-type"), "application/problem+json");
    const problem = JSON.parse(body) as { status: number; code: ErrorCode; detail: string; title: string };
    assert.deepEqual([problem.status, problem.title], [status, ERRORS[problem.code].title]);
    assert.equal(status, ERRORS[problem.code].status);
    assert.ok(body.length < 1500);
  }
}

for (const { name, head, body = "", expected, stays } of cases) {
  const [first, ...others] = expected;
  test(`${others.at(-1) ?? first} for ${name}; the connection ${stays ? "stays" : "ends"}`, async () => {
    await using server = await openServer();
    using client = rawClient(server.listening.port);
    const text = `${head.join("\r\n").replace("KEY", server.harness.operatorKey)}\r\n\r\n${body}`;
    client.socket.write(Buffer.from(text, "latin1"));
    if (stays) {
      await client.answers(expected.length);
      client.socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    }
    assertAnswers(await client.ended(), stays ? [...expected, 200] : expected);
    const taken = (await server.harness.takeLane("medium")).length;
    assert.equal(taken, expected.includes(202) ? 1 : 0);
  });
}

test("a caller that waits for 100 Continue is told to go on, whatever the case of its letters", async () => {
  await using server = await openServer();
  for (const expectation of ["100-continue", "100-CONTINUE"]) {
    using client = rawClient(server.listening.port);
    client.socket.write(
      `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${server.harness.operatorKey}\r\ncontent-type: application/json\r\n${LENGTH}\r\nexpect: ${expectation}\r\n\r\n`,
    );
    assertAnswers(await client.answers(1), [100]);
    client.socket.write(EVENT);
    assertAnswers(await client.answers(2), [100, 202]);
  }
});

test("415 for a content coding says which would do", async () => {
  await using harness = await openGatewayHarness();
  const headers = { "content-encoding": "gzip" };
  const answer = await harness.call("POST", "/v1/events", { body: EVENT, headers });
  assert.equal(answer.headers.get("accept-encoding"), "identity");
  assert.match(answer.text, /"header":"content-encoding"/);
});

test("a caller that closes its side gets its answer; one that closes in the middle of a request is told", async () => {
  await using server = await openServer();
  const head = (length: number): string =>
    `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${server.harness.operatorKey}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
  using whole = rawClient(server.listening.port);
  whole.socket.end(`${head(EVENT.length)}${EVENT}`);
  assertAnswers(await whole.ended(), [202]);
  using part = rawClient(server.listening.port);
  part.socket.end(`${head(100)}${EVENT}`);
  assertAnswers(await part.ended(), ["invalid-request"]);
});

test("a caller that closes its side gets its answer, also one that comes long after", async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const listening = await serveHttp({
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    portSetting: "PORT",
    isShared: isShared(),
    connectionsMax: 100,
    fetch: async () => {
      await gate;
      return new Response(null, { status: 204 });
    },
  });
  try {
    using closed = rawClient(listening.port);
    closed.socket.end("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
    // Once these are answered, the server has seen the end of what came before.
    for (let round = 0; round < 3; round++) {
      using other = rawClient(listening.port);
      other.socket.write("nonsense\r\n\r\n");
      await other.answers(1);
    }
    open();
    assertAnswers(await closed.ended(), [204]);
  } finally {
    await listening.kill();
  }
});

test("what is answered before its body came is read past, and the connection is of use again", async () => {
  await using server = await openServer();
  using client = rawClient(server.listening.port);
  client.socket.write("POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n");
  assertAnswers(await client.answers(1), ["unauthenticated"]);
  client.socket.write("x".repeat(100_000));
  client.socket.write("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  assertAnswers(await client.ended(), ["unauthenticated", 200]);
});

test("a body that nobody wants is not read for ever: past 1 MiB the connection ends", async () => {
  await using server = await openServer();
  using client = rawClient(server.listening.port);
  client.socket.write("POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\n");
  assertAnswers(await client.answers(1), ["unauthenticated"]);
  const pour = (): void => {
    while (client.socket.writable && client.socket.write("x".repeat(65_536)));
  };
  client.socket.on("drain", pour);
  pour();
  assertAnswers(await client.ended(), ["unauthenticated"]);
});

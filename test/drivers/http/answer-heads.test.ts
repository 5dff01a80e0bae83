/** `AnswerHeads`: whatever the pieces in which an answer comes, its parser sees the same clean head and the same body. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { AnswerHeads } from "@posthaste/shared/drivers/http/answer-heads.ts";
import { RESPONSE_HEADER_BYTES_MAX } from "@posthaste/shared/drivers/http/answer.ts";
import { BadAnswer } from "@posthaste/shared/drivers/http/network-fault.ts";
import fc from "fast-check";

/** What the parser sees of an answer that comes in pieces cut at the given places; `null` when it is no answer. */
function seen(text: string, cuts: readonly number[] = []): string | null {
  const heads = new AnswerHeads();
  heads.begin();
  const bytes = Buffer.from(text, "latin1");
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  let out = "";
  try {
    for (let index = 1; index < places.length; index++) {
      const piece = bytes.subarray(places[index - 1], places[index]);
      if (piece.length > 0) out += heads.push(piece)?.toString("latin1") ?? "";
    }
    return out;
  } catch (error) {
    assert.ok(error instanceof BadAnswer, String(error));
    return null;
  }
}

const statusLine = fc.constantFrom(
  "HTTP/1.1 200 OK",
  "HTTP/1.0 404 No",
  "HTTP/1.1 503",
  "HTTP/1.1 099 Odd",
  "SSH-2.0-x",
);
const field = fc.constantFrom(
  "x: y",
  "x: a\r\n b",
  "Content-Length: 2",
  "content-length: 2, 2",
  "content-length: 3",
  "Transfer-Encoding: chunked",
  "Retry-After: 7",
);
const answer = fc
  .record({
    interims: fc.array(fc.constantFrom("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 E\r\nlink: </a>\r\n\r\n"), {
      maxLength: 10,
    }),
    line: statusLine,
    fields: fc.array(field, { maxLength: 4 }),
    end: fc.constantFrom("\r\n", "\n"),
    body: fc.constantFrom("", "ok", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
  })
  .map(({ interims, line, fields, end, body }) => interims.join("") + [line, ...fields, "", body].join(end));

test("the pieces in which an answer comes make no difference", () => {
  fc.assert(
    fc.property(answer, fc.array(fc.nat(), { maxLength: 12 }), (text, cuts) => {
      assert.equal(seen(text, cuts), seen(text));
    }),
    { numRuns: 2000 },
  );
});

test("an ordinary head passes as the very bytes that came, and what follows is not looked at", () => {
  const heads = new AnswerHeads();
  heads.begin();
  const head = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
  assert.equal(heads.push(head), head);
  const rest = Buffer.from("\n folded");
  assert.equal(heads.push(rest), rest);
});

test("a repaired head has one length, or chunks, and ends its connection", () => {
  const close = "connection: close\r\n\r\nok";
  assert.equal(
    seen("HTTP/1.1 200 OK\nContent-Length: 2\nx: a\n\tb\ncontent-length: 2\n\nok"),
    `HTTP/1.1 200 OK\r\nx: a b\r\ncontent-length: 2\r\n${close}`,
  );
  assert.equal(
    seen("HTTP/1.1 200 OK\r\ncontent-length: 7\r\ntransfer-encoding: chunked\r\n\r\nok"),
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${close}`,
  );
});

test("eight interim answers are passed over, nine are not", () => {
  const interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
  const final = "HTTP/1.1 200 OK\r\n\r\n";
  assert.equal(seen(interim.repeat(8) + final), final);
  assert.equal(seen(interim.repeat(9) + final), null);
});

test("beyond its bound a head of a 2xx is cut after its status, any other is refused", () => {
  const long = `x: ${"y".repeat(RESPONSE_HEADER_BYTES_MAX)}\r\n`;
  for (const cuts of [[], [20, 5000, 70_000]]) {
    assert.match(
      seen(`HTTP/1.1 201 Made\r\n${long}`, cuts) ?? "",
      /^HTTP\/1\.1 201 OK\r\n[^]*connection: close\r\n\r\n/,
    );
    assert.equal(seen(`HTTP/1.1 500 No\r\n${long}`, cuts), null);
  }
});

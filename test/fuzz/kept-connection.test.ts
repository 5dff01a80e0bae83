/** What the fuzzer found: each is a case of its own, on the living gateway. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startFuzzSubject } from "./fuzz-subject.ts";
import type { RawRequest } from "./raw-client.ts";
import { openRawClient } from "./raw-client.ts";

const KEY = "operator-key-of-the-fuzzed-gateway";
const headers = [
  ["Host", "127.0.0.1"],
  ["Authorization", `Bearer ${KEY}`],
  ["Content-Type", "application/json"],
] as const;
const plain = { headers, isUnframed: false, isCut: false } as const;

test("behind a body in chunks that was refused as too large the connection takes the next request", async () => {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-fuzz-"));
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  await using subject = await startFuzzSubject({ FUZZ_SET: "embedded", FUZZ_FOLDER: folder, FUZZ_KEY: KEY });
  using client = openRawClient(subject.port);
  const chunk = Buffer.alloc(150_000, 0x20);
  const size = Buffer.from(`${chunk.length.toString(16)}\r\n`);
  const end = Buffer.from("\r\n");
  const large: RawRequest = {
    ...plain,
    method: "POST",
    target: "/v1/endpoints",
    headers: [...headers, ["Transfer-Encoding", "chunked"]],
    body: Buffer.concat([size, chunk, end, size, chunk, end, Buffer.from("0\r\n\r\n")]),
  };
  const next: RawRequest = { ...plain, method: "GET", target: "/v1/endpoints", body: new Uint8Array(0) };
  for (const [request, status] of [
    [large, 413],
    [next, 200],
  ] as const) {
    const answer = await client.send(request);
    assert.equal(answer.kind === "answered" ? answer.status : answer.kind, status);
  }
});

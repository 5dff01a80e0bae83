/** What one instance at the edge takes on at a time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BATCH_BYTES_MAX } from "@posthaste/shared/domain/event.ts";
import {
  READS_UNDER_WAY_MAX,
  UNDER_WAY_BYTES_MAX,
  UNDER_WAY_MAX,
  UnderWay,
} from "@posthaste/gateway/request/under-way.ts";
import { withCode } from "../contract/harness.ts";

const request = (method: string, fields: Readonly<Record<string, string>> = {}) => ({
  method,
  headers: new Headers(method === "POST" ? { "content-length": "0", ...fields } : fields),
});
const overloaded = withCode("overloaded");

test("one request more than the bound is refused, and taken once another has ended", () => {
  const underWay = new UnderWay();
  const ends = Array.from({ length: UNDER_WAY_MAX }, () => underWay.enter(request("POST"), 0));
  assert.throws(() => underWay.enter(request("POST"), 0), overloaded);
  ends[7]?.();
  ends[7]?.();
  underWay.enter(request("POST"), 0);
  assert.throws(() => underWay.enter(request("POST"), 0), overloaded);
});

test("bodies have their bytes together; one of no declared length counts as the largest", () => {
  const underWay = new UnderWay();
  const chunked = { method: "POST", headers: new Headers() };
  const count = Math.floor(UNDER_WAY_BYTES_MAX / BATCH_BYTES_MAX);
  const ends = Array.from({ length: count }, () => underWay.enter(chunked, 0));
  assert.throws(() => underWay.enter(request("POST", { "content-length": "1" }), 0), overloaded);
  underWay.enter(request("POST"), 0);
  ends[0]?.();
  underWay.enter(request("POST", { "content-length": "1" }), 0);
});

test("reads have a bound of their own, which holds no publisher up", () => {
  const underWay = new UnderWay();
  for (let read = 0; read < READS_UNDER_WAY_MAX; read++) underWay.enter(request(read === 0 ? "HEAD" : "GET"), 0);
  assert.throws(() => underWay.enter(request("GET"), 0), overloaded);
  underWay.enter(request("POST"), 0);
});

test("what never ended is taken for gone after a minute", () => {
  const underWay = new UnderWay();
  for (let each = 0; each < UNDER_WAY_MAX; each++) underWay.enter(request("POST"), 0);
  assert.throws(() => underWay.enter(request("POST"), 59_999), overloaded);
  underWay.enter(request("POST"), 60_000);
});

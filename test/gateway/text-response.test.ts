/** An answer whose text is at hand reads as the `Response` that it stands for, on each runtime. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { partsOf, textResponse, webResponse } from "@posthaste/shared/ports/text-response.ts";

const PARTS = { status: 202, headers: { "content-type": "application/json", "x-a": "b" }, text: '{"a":"ü"}' };

test("status, fields and body are those that were given, read in any way", async () => {
  const web = new Response(PARTS.text, { status: PARTS.status, headers: PARTS.headers });
  const ours = textResponse(PARTS);
  assert.equal(partsOf(ours), PARTS);
  assert.ok(ours instanceof Response);
  for (const name of ["ok", "redirected", "status", "statusText", "type", "url", "bodyUsed"] as const)
    assert.equal(ours[name], web[name], name);
  assert.deepEqual([...ours.headers], [...web.headers]);
  assert.ok(ours.body instanceof ReadableStream);
  assert.deepEqual(await textResponse(PARTS).json(), { a: "ü" });
  assert.deepEqual(await textResponse(PARTS).bytes(), await web.clone().bytes());
  assert.equal((await textResponse(PARTS).arrayBuffer()).byteLength, 10);
  assert.equal((await textResponse(PARTS).blob()).size, 10);
  assert.equal(await ours.clone().text(), PARTS.text);
  assert.equal(await ours.text(), PARTS.text);
  assert.equal(ours.bodyUsed, true);
});

test("another server gets the runtime's own, and one without a text has no body", async () => {
  const web = webResponse(textResponse(PARTS));
  assert.equal(Object.getPrototypeOf(web), Response.prototype);
  assert.equal(partsOf(web), null);
  assert.equal(await new Response(web.body, web).text(), PARTS.text);
  assert.equal(webResponse(web), web);
  assert.equal(textResponse({ status: 204, headers: {}, text: "" }).body, null);
});

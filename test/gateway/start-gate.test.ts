/** Requests that come while a gateway starts wait for the end of the start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createStartGate } from "@posthaste/gateway/start-gate.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";

test("a request waits until the gate is opened, and a later one does not", async () => {
  const answered: string[] = [];
  const gate = createStartGate((request) => {
    answered.push(request.url);
    return Promise.resolve(new Response(null, { status: 204 }));
  });
  const early = gate.fetch({ url: "/early" } as InboundRequest);
  await Promise.resolve();
  assert.deepEqual(answered, []);
  gate.open();
  assert.equal((await early).status, 204);
  const late = gate.fetch({ url: "/late" } as InboundRequest);
  assert.deepEqual(answered, ["/early", "/late"], "nothing is put between any more");
  assert.equal((await late).status, 204);
});

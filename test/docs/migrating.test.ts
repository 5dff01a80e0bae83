/** What docs/migrating.md says is so: its calls are answered, and the library of the other side verifies what comes from here. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { attemptHeaders } from "@posthaste/shared/domain/message.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { Webhook } from "svix";
import { testHasher } from "../support/ambient.ts";
import type { Answer } from "../support/gateway-harness.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";
import { endpointOf, envelopeOf } from "../support/samples.ts";

const guide = readFileSync(join(import.meta.dirname, "../../docs/migrating.md"), "utf8");

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** Of each block of the shell, one. */
function callsOf(text: string): readonly Call[] {
  return [...text.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map(([, block = ""]) => {
    const [, path = ""] = /\$API([^\s"]+)/.exec(block) ?? [];
    const [, body = ""] = /-d '([^']*)'/.exec(block) ?? [];
    const [, method = "POST"] = /-X ([A-Z]+)/.exec(block) ?? [];
    return { method, path, body: JSON.parse(body) as unknown };
  });
}

test("each call of the guide is taken as it stands", async () => {
  await using harness = await openGatewayHarness();
  const calls = callsOf(guide);
  assert.equal(calls.length, 5);
  let endpoint = "";
  for (const { method, path, body } of calls) {
    const answer: Answer = await harness.call(method, path.replace("$ENDPOINT", endpoint), { body });
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
    if (path === "/v1/endpoints") endpoint = (answer.json as { readonly id: string }).id;
  }
});

test("Svix's own library verifies a message of ours, and refuses one that was changed", () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const key = { secret, createdAtMs: 0, expiresAtMs: null };
  const { body } = envelopeOf("evt_1");
  const endpoint = endpointOf("ep1", { secrets: [key] });
  // The library compares it with the clock of the machine.
  const nowMs = systemClock.now();
  const message = { endpoint, id: "evt_1", body, attempt: 1, nowMs, traceparent: null, tracestate: null };
  const headers: Record<string, string> = attemptHeaders({ ...message, hasher: testHasher });
  new Webhook(secret).verify(Buffer.from(body), headers);
  assert.throws(() => new Webhook(secret).verify(Buffer.concat([body, Buffer.from(" ")]), headers));
});

/** What docs/receiving.md and docs/retries.md say is so: their tables and forms are those of the source. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { groupBody } from "@posthaste/shared/domain/envelope.ts";
import { attemptHeaders } from "@posthaste/shared/domain/message.ts";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import { testHasher } from "../support/ambient.ts";
import { endpointOf, envelopeOf } from "../support/samples.ts";

const guide = (name: string): string => readFileSync(join(import.meta.dirname, `../../docs/${name}.md`), "utf8");

test("the guide names every header of an attempt", () => {
  const { body } = envelopeOf("evt_1");
  const headers = attemptHeaders({
    endpoint: endpointOf("ep1"),
    id: "evt_1",
    body,
    attempt: 1,
    nowMs: Date.now(),
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    tracestate: "congo=t61rcWkgMzE",
    hasher: testHasher,
  });
  for (const name of Object.keys(headers)) assert.ok(guide("receiving").includes(`\`${name}\``), name);
});

test("the batch of the guide has the form of one that is sent", () => {
  const shown = [...guide("receiving").matchAll(/^```json\n([\s\S]*?)^```$/gm)]
    .map(([, text = ""]) => JSON.parse(text) as { type: string; data: readonly Record<string, unknown>[] })
    .find(({ type }) => type === "posthaste.batch");
  assert.ok(shown !== undefined);
  const sent = JSON.parse(Buffer.from(groupBody([envelopeOf("evt_1")], 0)).toString()) as typeof shown;
  assert.deepEqual([Object.keys(shown), sent.type], [Object.keys(sent), shown.type]);
  assert.deepEqual(Object.keys(shown.data[0] ?? {}), Object.keys(sent.data[0] ?? {}));
});

test("the schedule of the guide is the default one", () => {
  const [, row = ""] = /^\| wait before it \| (.*) \|$/m.exec(guide("retries")) ?? [];
  const unitS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600 };
  const waits = row.split(" | ").map((wait) => {
    const [count = "", unit = ""] = wait.split(" ");
    return Number(count) * (unitS[unit] ?? NaN);
  });
  assert.ok("delays_s" in DEFAULT_RETRY_POLICY);
  assert.deepEqual(waits, DEFAULT_RETRY_POLICY.delays_s);
});

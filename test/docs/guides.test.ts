/** What docs/receiving.md and docs/retries.md say is so: their code verifies, their tables are those of the source. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { groupBody } from "@posthaste/shared/domain/envelope.ts";
import { attemptHeaders } from "@posthaste/shared/domain/message.ts";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import { testHasher } from "../support/ambient.ts";
import { endpointOf, envelopeOf } from "../support/samples.ts";

const guide = (name: string): string => readFileSync(join(import.meta.dirname, `../../docs/${name}.md`), "utf8");
const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
const BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"amount":12.50}}';

function codeOf(language: string): string {
  const code = new RegExp(`^\`\`\`${language} verify\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(guide("receiving"))?.[1];
  assert.ok(code !== undefined, `docs/receiving.md has a block of ${language} that verifies`);
  return code;
}

interface Case {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Null: it is genuine. */
  readonly fault: string | null;
}

/** Signed by the reference library, so that the guide is held to the standard. */
function cases(): readonly Case[] {
  const nowMs = Date.now();
  const signed = (atMs: number, secret = SECRET, id = "evt_1"): Record<string, string> => ({
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(atMs / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, new Date(atMs), BODY),
  });
  const genuine = signed(nowMs);
  const rotated = `${signed(nowMs, OTHER_SECRET)["webhook-signature"]} ${genuine["webhook-signature"]}`;
  const { "webhook-id": _, ...withoutId } = genuine;
  const late = "the timestamp is too far from now";
  const unfit = "no signature fits";
  return [
    { headers: genuine, body: BODY, fault: null },
    { headers: { ...genuine, "webhook-signature": rotated }, body: BODY, fault: null },
    { headers: genuine, body: BODY.replace("12.50", "12.5"), fault: unfit },
    { headers: { ...genuine, "webhook-id": "evt_2" }, body: BODY, fault: unfit },
    { headers: signed(nowMs, OTHER_SECRET), body: BODY, fault: unfit },
    { headers: { ...genuine, "webhook-signature": "v1, v2,x v1,AAAA" }, body: BODY, fault: unfit },
    { headers: signed(nowMs - 301_000), body: BODY, fault: late },
    { headers: signed(nowMs + 310_000), body: BODY, fault: late },
    { headers: { ...genuine, "webhook-timestamp": "soon" }, body: BODY, fault: late },
    { headers: withoutId, body: BODY, fault: "a webhook header is missing" },
  ];
}

test("the TypeScript of the guide takes what is genuine and refuses all else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-guide-"));
  try {
    const path = join(folder, "verify.ts");
    writeFileSync(path, codeOf("ts"));
    const { verify } = (await import(path)) as {
      verify: (secret: string, headers: Case["headers"], body: Uint8Array) => void;
    };
    for (const { headers, body, fault } of cases()) {
      const call = (): void => verify(SECRET, headers, Buffer.from(body));
      if (fault === null) call();
      else assert.throws(call, new RegExp(`^Error: ${fault}$`));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the Python of the guide takes what is genuine and refuses all else", () => {
  const program = `${codeOf("python")}
import json, sys
for case in json.load(sys.stdin):
    try:
        verify("${SECRET}", case["headers"], case["body"].encode())
        print(json.dumps(None))
    except ValueError as error:
        print(json.dumps(str(error)))
`;
  const all = cases();
  const run = spawnSync("python3", ["-c", program], { input: JSON.stringify(all), encoding: "utf8" });
  assert.equal(run.status, 0, run.stderr || "python3 is needed: install Python 3.9 or newer");
  const faults = run.stdout
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  assert.deepEqual(
    faults,
    all.map(({ fault }) => fault),
  );
});

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

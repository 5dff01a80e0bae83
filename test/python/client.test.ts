/** The Python client's own tests, over what the reference library and Posthaste signed, and against a real Posthaste. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Webhook as Reference } from "standardwebhooks";
import { groupBody } from "@posthaste/shared/domain/envelope.ts";
import { attemptHeaders } from "@posthaste/shared/domain/message.ts";
import { openFolder, spawnWatched, startServe, TEST_KEY } from "../e2e/posthaste-child.ts";
import { testHasher } from "../support/ambient.ts";
import { endpointOf, envelopeOf } from "../support/samples.ts";

const root = join(import.meta.dirname, "../..");
const folder = join(root, "clients/python");
const SECRET = secretOf(7);
const OTHER_SECRET = secretOf(9);
const NOW_MS = 1_770_000_000_000;
const BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"amount":12.50,"name":"Zoë"}}';

function secretOf(byte: number): string {
  return `whsec_${Buffer.alloc(32, byte).toString("base64")}`;
}

/** The real binary: a shim of a version manager may look at the environment, which the tests change. */
function python(): string {
  const code = "import sys; assert sys.version_info >= (3, 9); print(sys.executable)";
  const found = spawnSync("python3", ["-c", code], { encoding: "utf8" });
  if (found.status === 0) return found.stdout.trim();
  throw new Error(
    "python3 is needed for clients/python: install Python 3.9 or newer (Debian: apt-get install python3).",
  );
}

interface Vector {
  readonly what: string;
  readonly secret: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** What it is refused for; null when it is genuine, with the events that it holds. */
  readonly code: string | null;
  readonly form: "single" | "batch";
  readonly ids: readonly string[];
}

/** What others signed, for a receiver whose clock shows `NOW_MS`. */
function vectors(): readonly Vector[] {
  const at = (atMs: number): Record<string, string> => ({
    "webhook-id": "evt_1",
    "webhook-timestamp": String(atMs / 1000),
    "webhook-signature": new Reference(SECRET).sign("evt_1", new Date(atMs), BODY),
  });
  const single = { secret: SECRET, body: Buffer.from(BODY), code: null, form: "single", ids: ["evt_1"] } as const;
  const times = { createdAtMs: 0, expiresAtMs: null };
  const secrets = [OTHER_SECRET, SECRET].map((secret) => ({ ...times, secret }));
  const endpoint = { ...endpointOf("ep1"), secrets };
  const attempt = { endpoint, attempt: 1, nowMs: NOW_MS, traceparent: null, tracestate: null, hasher: testHasher };
  const { body } = envelopeOf("evt_1");
  const batch = groupBody([envelopeOf("evt_1"), envelopeOf("evt_2")], NOW_MS);
  const own = attemptHeaders({ ...attempt, id: "evt_1", body });
  const ownBatch = attemptHeaders({ ...attempt, id: "grp_1", body: batch });
  return [
    { ...single, what: "the reference library's", headers: at(NOW_MS) },
    { ...single, what: "another secret's", headers: at(NOW_MS), secret: OTHER_SECRET, code: "no-signature-fits" },
    { ...single, what: "one with another body", headers: at(NOW_MS), body, code: "no-signature-fits" },
    { ...single, what: "an old one", headers: at(NOW_MS - 301_000), code: "too-old" },
    { ...single, what: "one of the future", headers: at(NOW_MS + 301_000), code: "too-new" },
    { ...single, what: "Posthaste's, by the new secret", headers: own, body, secret: OTHER_SECRET },
    { ...single, what: "Posthaste's, by the old secret", headers: own, body },
    { ...single, what: "Posthaste's batch", headers: ownBatch, body: batch, form: "batch", ids: ["evt_1", "evt_2"] },
  ];
}

/** Runs some of the client's tests; `count` of them at least, all passed and none skipped. */
async function passes(names: readonly string[], env: Readonly<Record<string, string>>, count: number): Promise<void> {
  const words = ["-m", "unittest", "-v", ...names.map((name) => `tests.${name}`)];
  const settings = { PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1", ...env };
  await using child = spawnWatched(python(), words, settings);
  const { code } = await child.exited;
  const report = child.printed.stderr;
  assert.equal(code, 0, report);
  const ran = Number(/^Ran (\d+) tests? in /m.exec(report)?.[1]);
  assert.ok(ran >= count, `${ran} tests of ${count}:\n${report}`);
  assert.match(report, /^OK$/m);
}

test("Python: retries, the transport, and webhooks that others signed", async () => {
  using temporary = openFolder();
  const path = join(temporary.path, "vectors.json");
  const told = vectors().map((vector) => ({
    ...vector,
    body: Buffer.from(vector.body).toString("base64"),
    now_s: NOW_MS / 1000,
  }));
  writeFileSync(path, JSON.stringify(told));
  await passes(["test_retries", "test_transport", "test_webhooks"], { WEBHOOK_VECTORS: path }, 31);
});

test("Python: every call against a real Posthaste", async () => {
  using temporary = openFolder();
  await using posthaste = await startServe(temporary.path);
  await passes(["test_gateway"], { POSTHASTE_URL: posthaste.url, POSTHASTE_KEY: TEST_KEY }, 5);
});

test("Python: the programs of docs/client.md publish, and take what is genuine alone", async () => {
  using temporary = openFolder();
  await using posthaste = await startServe(temporary.path);
  const guide = readFileSync(join(root, "docs/client.md"), "utf8");
  const env = { POSTHASTE_URL: posthaste.url, POSTHASTE_KEY: TEST_KEY, WEBHOOK_SECRET: SECRET, PYTHONPATH: folder };
  const codeOf = (name: string): string =>
    new RegExp(`^\`\`\`python ${name}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(guide)?.[1] ?? "";
  const settings = { ...env, PYTHONDONTWRITEBYTECODE: "1" };
  await using publishing = spawnWatched(python(), ["-c", codeOf("publish")], settings);
  assert.equal((await publishing.exited).code, 0, publishing.printed.stderr);
  assert.match(publishing.printed.stdout, /^published evt_\w+ to high\n$/);

  const nowMs = Date.now();
  const headers = {
    "webhook-id": "evt_1",
    "webhook-timestamp": String(Math.floor(nowMs / 1000)),
    "webhook-signature": new Reference(SECRET).sign("evt_1", new Date(nowMs), BODY),
  };
  const asked = JSON.stringify([headers, BODY, BODY.replace("12.50", "12.5")]);
  const code = `${codeOf("verify")}
import json, sys
headers, *bodies = json.loads(sys.argv[1])
print([status_for(body.encode(), headers) for body in bodies])`;
  await using verifying = spawnWatched(python(), ["-c", code, asked], settings);
  assert.equal((await verifying.exited).code, 0, verifying.printed.stderr);
  assert.match(verifying.printed.stdout, /^refused \(no-signature-fits\): .*\n\[204, 401\]\n$/);
});

import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Webhook } from "standardwebhooks";

import { spawnPosthaste } from "./posthaste-child.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

async function ended(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using child = spawnPosthaste(words, env);
  const { code } = await child.exited;
  return { code, ...child.printed };
}

test("help names every command and every setting, and ends with 0", async () => {
  const { code, stdout, stderr } = await ended(["help"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  for (const word of [
    "dev",
    "serve",
    "demo",
    "receiver",
    "backup",
    "reseal",
    "PORT",
    "POSTHASTE_DATA",
    "POSTHASTE_ALLOW_CIDRS",
  ]) {
    assert.match(stdout, new RegExp(`^ {2}${word}\\b`, "m"));
  }
});

test("every setting of the distributed set is in the help, too", async () => {
  const { stdout } = await ended(["help"]);
  for (const word of ["REDIS_URL", "REDIS_SHARDS", "KAFKA_BROKERS", "KAFKA_RETENTION_DAYS", "PROCESSOR_PORT"]) {
    assert.match(stdout, new RegExp(`^ {2}${word}\\b`, "m"));
  }
});

/** The programs of package.json's scripts, each once. */
function programsOfScripts(): readonly string[] {
  const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { scripts: Record<string, string> };
  const files = Object.values(scripts).map((line) => /^(?:\w+=\d+ )?exec bun (\S+\.ts)/.exec(line)?.[1]);
  return [...new Set(files.filter((file) => file !== undefined))];
}

for (const script of programsOfScripts()) {
  test(`${script} answers --help, and refuses a word that it does not know`, async () => {
    const [help, wrong] = [
      [script, "--help"],
      [script, "--nonsense"],
    ].map((words) => spawnSync(process.execPath, words, { cwd: ROOT, encoding: "utf8", timeout: 30_000 }));
    assert.match(help?.stdout ?? "", /^Usage: (?:npm (?:run \S+|test)|posthaste <command>)/);
    assert.deepEqual([help?.status, help?.stderr], [0, ""]);
    assert.match(wrong?.stderr ?? "", /--nonsense[^]*\nUsage: /);
    assert.deepEqual([wrong?.status, wrong?.stdout], [2, ""]);
  });
}

for (const [script, names] of [
  ["test/support/services-main.ts", ["redis-server", "Java 17", "Maven", "apt-get", "45 MB"]],
  ["bench/main.ts", ["wrk", "apt-get", "npm run services"]],
] as const) {
  test(`${script} --help names what it installs on the machine, and the README does`, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, "--help"], { cwd: ROOT });
    const readme = readFileSync(`${ROOT}README.md`, "utf8");
    for (const name of names) assert.ok(stdout.includes(name) && readme.includes(name), name);
  });
}

test("what services would install is named before anything is", async () => {
  const isRoot = process.getuid?.() === 0;
  const child = spawn(process.execPath, [`${ROOT}test/support/services-main.ts`], {
    cwd: tmpdir(),
    // Nothing is found there, and nothing may be installed.
    env: { PATH: "/nowhere" },
    ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await once(child, "close");
  assert.match(
    printed,
    /^Installed first, as this machine lacks it: the package redis-server by apt-get, the package openjdk-17/,
  );
});

test("`npx posthaste` is the command line, as npm linked it", async () => {
  const bin = fileURLToPath(new URL("../../node_modules/.bin/posthaste", import.meta.url));
  const PATH = `${fileURLToPath(new URL("../../node_modules/.bin", import.meta.url))}:${process.env["PATH"] ?? ""}`;
  const { stdout } = await promisify(execFile)(bin, ["--version"], { env: { ...process.env, PATH } });
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("no command at all shows the same help", async () => {
  const [bare, help] = await Promise.all([ended([]), ended(["help"])]);
  assert.deepEqual(bare, help);
});

test("--version prints a version and nothing else", async () => {
  const { code, stdout } = await ended(["--version"]);
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("an unknown command is named, the usage follows, and the exit code is 2", async () => {
  const { code, stdout, stderr } = await ended(["sevre"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /^posthaste: there is no command sevre; did you mean serve\?\n\nUsage: posthaste <command>\n/);
});

test("reseal takes --dry-run alone, and without a second key or a database it says what is missing", async () => {
  const wrong = await ended(["reseal", "--force"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^posthaste: reseal does not take --force; there is --dry-run\n\nUsage: posthaste reseal/);
  const nowhere = await ended(["reseal"], { POSTHASTE_DATA: `${tmpdir()}/there-is-no-such-folder` });
  assert.deepEqual([nowhere.code, nowhere.stdout], [1, ""]);
  assert.match(nowhere.stderr, /^posthaste: There is no posthaste\.db in .*POSTHASTE_DATA\.\n$/);
  const stores = { REDIS_URL: "redis://127.0.0.1:1", KAFKA_BROKERS: "127.0.0.1:1" };
  const one = await ended(["reseal"], { ...stores, POSTHASTE_MASTER_KEY: Buffer.alloc(32, 1).toString("base64") });
  assert.equal(one.code, 2);
  assert.match(one.stderr, /^posthaste: POSTHASTE_MASTER_KEY_PREVIOUS is missing/);
});

test("a flag that a command does not take is named, and the exit code is 2", async () => {
  const { code, stderr } = await ended(["serve", "--port=9000"]);
  assert.equal(code, 2);
  assert.match(stderr, /^posthaste: serve does not take --port=9000; settings are environment variables\n\nUsage/);
});

for (const program of ["dev", "serve", "gateway"]) {
  test(`${program}: wrong settings of the portal are named with their remedies, and the exit code is 2`, async () => {
    const env = { PORTAL_ORIGINS: "https://*.example.com", PORTAL_COLOUR: "teal" };
    const { code, stdout, stderr } = await ended([program], env);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(
      stderr,
      /^\S+: PORTAL_ORIGINS must be 1 to 32 origins .*\n.*PORTAL_COLOUR must be a colour as # and six hex digits/,
    );
    const logo = await ended([program], { PORTAL_LOGO: "/nowhere/logo.png" });
    assert.equal(logo.code, 2);
    assert.match(logo.stderr, /PORTAL_LOGO cannot be read: ENOENT/);
  });
}

test("each wrong setting gets one line with its remedy, no stack, and the exit code is 2", async () => {
  const env = { PORT: "http", LOG_LEVEL: "loud", POSTHASTE_OPERATOR_KEY: "short", POSTHASTE_ALLOW_CIDRS: "10/8" };
  const { code, stdout, stderr } = await ended(["serve"], env);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  const lines = stderr.trimEnd().split("\n");
  assert.equal(lines.length, 4, stderr);
  for (const name of Object.keys(env)) {
    assert.equal(lines.filter((line) => line.startsWith(`posthaste: ${name} must be `)).length, 1, stderr);
  }
});

test("a wrong secret in the settings is never repeated in the message", async () => {
  const { code, stderr } = await ended(["dev"], { POSTHASTE_MASTER_KEY: "bm90LTMyLWJ5dGVz" });
  assert.equal(code, 2);
  assert.match(stderr, /^posthaste: POSTHASTE_MASTER_KEY must be 32 bytes in base64/);
  assert.ok(!stderr.includes("bm90LTMyLWJ5dGVz"));
});

test("receiver without a secret says how to give one", async () => {
  const { code, stderr } = await ended(["receiver"]);
  assert.equal(code, 2);
  assert.match(stderr, /^posthaste: receiver needs --secret whsec_/);
});

test("receiver takes no address by halves, and --host is named when it cannot listen there", async () => {
  for (const host of ["0", "127.1", "", "a b", "http://x"]) {
    const { code, stdout, stderr } = await ended(["receiver", "--secret", SECRET, "--port", "0", "--host", host]);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /^posthaste: --host must be an address /);
  }
  const { code, stderr } = await ended(["receiver", "--secret", SECRET, "--port", "0", "--host", "192.0.2.1"]);
  assert.equal(code, 1);
  assert.match(stderr, /^posthaste: cannot listen on 192\.0\.2\.1:0 since .* Mend --host\.\n$/);
});

test("receiver refuses a secret that is none, without repeating it", async () => {
  const { code, stderr } = await ended(["receiver", "--secret", "whsec_abcdef"]);
  assert.equal(code, 2);
  assert.match(stderr, /^posthaste: --secret is not usable: /);
  assert.ok(!stderr.includes("whsec_abcdef"));
});

test("receiver verifies what another library signed, and answers 401 to what nobody signed", async () => {
  await using child = spawnPosthaste(["receiver", "--secret", SECRET, "--port", "0"]);
  const [, url = ""] = await child.match(/Receiver {3}(http:\S+)/);
  const body = '{"type":"invoice.paid","timestamp":"2026-01-31T12:00:00.000Z","data":{}}';
  const now = new Date();
  const headers = { "webhook-id": "evt_1", "webhook-timestamp": String(Math.floor(now.getTime() / 1000)) };
  const signature = new Webhook(SECRET).sign("evt_1", now, body);
  const signed = await fetch(url, { method: "POST", headers: { ...headers, "webhook-signature": signature }, body });
  assert.equal(signed.status, 200);
  await child.match(/invoice\.paid {2}evt_1 {2}attempt 1 {2}72 bytes {2}signature verified\n/);
  const bare = await fetch(url, { method: "POST", headers, body });
  assert.equal(bare.status, 401);
  await child.match(/evt_1 {2}attempt 1 {2}72 bytes {2}NOT VERIFIED: The header webhook-signature is missing\./);
  child.kill("SIGTERM");
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test("receiver behaves as its paths say", async () => {
  await using child = spawnPosthaste(["receiver", "--secret", SECRET, "--port", "0"]);
  const [, url = ""] = await child.match(/Receiver {3}(http:\S+)/);
  const given = new AbortController();
  const deliver = (path: string, attempt: number): Promise<Response> => {
    const now = new Date();
    const headers = {
      "webhook-id": "evt_2",
      "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
      "webhook-signature": new Webhook(SECRET).sign("evt_2", now, "{}"),
      "posthaste-attempt": String(attempt),
    };
    return fetch(`${url}${path}`, { method: "POST", headers, body: "{}", redirect: "manual", signal: given.signal });
  };
  const busy = await deliver("/status/429?retry-after=3", 1);
  assert.equal(busy.headers.get("retry-after"), "3");
  const statuses = [
    busy,
    await deliver("/status/500", 1),
    await deliver("/status/302", 1),
    await deliver("/fail/2/then-ok", 2),
    await deliver("/fail/2/then-ok", 3),
    await deliver("/slow?ms=20", 1),
    await deliver("/any/other/path", 1),
  ].map(({ status }) => status);
  assert.deepEqual(statuses, [429, 500, 302, 500, 200, 200, 200]);
  const hanging = assert.rejects(deliver("/hang", 1), { name: "AbortError" });
  await child.match(/signature verified {2}left without an answer\n/);
  given.abort();
  await hanging;
});

test("the demo delivers every payload once, verified and byte for byte", async () => {
  const { code, stdout, stderr } = await ended(["demo"]);
  assert.equal(code, 0, stdout + stderr);
  const rows = [...stdout.matchAll(/^ {2}(HIGH|MEDIUM|LOW|all)\s+(.+)$/gm)].map(([, name = "", numbers = ""]) => {
    return { name, numbers: numbers.trim().split(/\s+/).map(Number) };
  });
  assert.deepEqual(
    rows.map(({ name }) => name),
    ["HIGH", "MEDIUM", "LOW", "all"],
  );
  for (const { numbers } of rows) {
    const [sent = 0, delivered, verified, identical, duplicates, p50 = 0, p99 = 0] = numbers;
    assert.ok(sent > 200, stdout);
    assert.deepEqual([delivered, verified, identical, duplicates], [sent, sent, sent, 0], stdout);
    assert.ok(p50 > 0 && p50 <= p99, stdout);
  }
  assert.match(stdout, /Every delivery came once, verified and unchanged\./);
});

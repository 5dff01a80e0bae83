import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { openReceiver } from "../support/receiver.ts";
import type { Child } from "./posthaste-child.ts";
import { call, openFolder, spawnPosthaste, TEST_KEY } from "./posthaste-child.ts";

const run = promisify(execFile);

interface Screen {
  readonly url: string;
  readonly key: string;
  readonly receiver: string;
  readonly curls: readonly string[];
}

function startDev(folder: string, env: Readonly<Record<string, string>> = {}): Child {
  return spawnPosthaste(["dev"], { PORT: "0", POSTHASTE_DATA: folder, ...env });
}

async function screenOf(child: Child): Promise<Screen> {
  await child.match(/Ctrl-C stops/);
  const { stdout } = child.printed;
  const value = (name: string): string => new RegExp(`^ {2}${name} +(\\S+)$`, "m").exec(stdout)?.[1] ?? "";
  const curls = stdout.split("\n").filter((line) => line.startsWith("curl "));
  return { url: value("API"), key: value("API key"), receiver: value("Receiver"), curls };
}

/** Runs a printed line as a shell would, and gives back what the API answered. */
async function paste(line: string | undefined): Promise<Record<string, unknown>> {
  const { stdout } = await run("sh", ["-c", line ?? "exit 9"]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test("the two printed commands work as they are, and the delivery is shown verified", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { curls, receiver } = await screenOf(child);
  assert.equal(curls.length, 2);
  const endpoint = await paste(curls[0]);
  assert.equal(endpoint["url"], `${receiver}/`);
  const event = await paste(curls[1]);
  assert.equal(event["lane"], "medium");
  await child.match(
    new RegExp(
      `\\d\\d:\\d\\d:\\d\\d {2}invoice\\.paid {2}${String(event["id"])} {2}attempt 1 {2}\\d+ bytes {2}signature verified\\n`,
    ),
  );
});

test("the printed endpoint is retried within seconds, and the screen says so", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { curls } = await screenOf(child);
  assert.match(
    child.printed.stdout,
    /retried after 1, 2, 5, 10 s\. Without "retry" it gets ten attempts over three days\./,
  );
  const endpoint = await paste(curls[0]?.replace(/(127\.0\.0\.1:\d+)\/"/, '$1/fail/2/then-ok"'));
  assert.deepEqual(endpoint["retry"], { delays_s: [0, 1, 2, 5, 10] });
  const event = await paste(curls[1]);
  await child.match(new RegExp(`-> .*${String(event["id"])}.* attempt 2 .*next attempt at .*, in [12] s`));
  await child.match(new RegExp(`-> .*${String(event["id"])}.* attempt 3 .*answered 200 {2}delivered`));
});

test("both printed commands work again when pasted a second time", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { curls } = await screenOf(child);
  await paste(curls[0]);
  await paste(curls[0]);
  const event = await paste(curls[1]);
  await child.match(new RegExp(`(?:${String(event["id"])}.*signature verified\\n[^]*){2}`));
  assert.ok(!child.printed.stdout.includes("NOT VERIFIED"));
});

test("dev says on its readiness path that it is ready", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { url } = await screenOf(child);
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
});

test("the key stays the same over restarts, and only its owner may read the folder", async () => {
  using folder = openFolder();
  const path = join(folder.path, "data");
  const keys: string[] = [];
  for (let start = 0; start < 2; start += 1) {
    await using child = startDev(path);
    const { key, url } = await screenOf(child);
    assert.equal((await call(url, "/v1/endpoints", undefined, key)).status, 200);
    keys.push(key);
    child.kill("SIGINT");
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  }
  assert.match(keys[0] ?? "", /^phk_[0-9a-z]{40}$/);
  assert.equal(keys[0], keys[1]);
  assert.equal(modeOf(path), "700");
  for (const name of ["operator.key", "master.key", "posthaste.db"])
    assert.equal(modeOf(join(path, name)), "600", name);
  assert.ok(!readFileSync(join(path, "posthaste.db")).includes(keys[0] ?? "-"), "the store has hashes only");
});

test("a restart keeps one record of the key, not one per start", async () => {
  using folder = openFolder();
  for (let start = 0; start < 3; start += 1) {
    await using child = startDev(folder.path);
    const { url, key } = await screenOf(child);
    const { body } = await call(url, "/v1/api-keys?tenant=*", undefined, key);
    assert.equal((body["data"] as unknown[]).length, 1);
    child.kill("SIGTERM");
    await child.exited;
  }
});

test("POSTHASTE_OPERATOR_KEY is the key that dev shows and takes", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path, { POSTHASTE_OPERATOR_KEY: TEST_KEY });
  const { key, url } = await screenOf(child);
  assert.equal(key, TEST_KEY);
  assert.equal((await call(url, "/v1/endpoints")).status, 200);
});

test("a failing path of the receiver is shown with its answer, and the next attempt succeeds", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { url, key, receiver } = await screenOf(child);
  const endpoint = { url: `${receiver}/fail/1/then-ok`, retry: { delays_s: [0, 0] } };
  assert.equal((await call(url, "/v1/endpoints", endpoint, key)).status, 201);
  const { body } = await call(url, "/v1/events", { type: "order.paid", data: {} }, key);
  await child.match(new RegExp(`${String(body["id"])} {2}attempt 1 .* signature verified {2}answered 500\\n`));
  await child.match(new RegExp(`${String(body["id"])} {2}attempt 2 .* signature verified\\n`));
});

test("what comes to the receiver from somebody else is shown as not verified", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { receiver } = await screenOf(child);
  const answer = await fetch(`${receiver}/x`, { method: "POST", body: "\u001B[2Jhello" });
  assert.equal(answer.status, 401);
  await child.match(
    /\(no type\) {2}\(no id\) {2}attempt 1 {2}9 bytes {2}NOT VERIFIED: The header webhook-id is missing\./,
  );
});

test("dev does not call the loopback once POSTHASTE_ALLOW_CIDRS is set to nothing", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path, { POSTHASTE_ALLOW_CIDRS: "" });
  const { url, key, receiver } = await screenOf(child);
  const { status, body } = await call(url, "/v1/endpoints", { url: receiver }, key);
  assert.equal(status, 422);
  assert.equal(body["code"], "forbidden-address");
});

test("each attempt to any endpoint is one line: type, endpoint and path, attempt, outcome, next attempt", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { url, key } = await screenOf(child);
  await using away = await openReceiver((_, response) => response.writeHead(503).end());
  const { port } = new URL(away.url);
  const created = await call(url, "/v1/endpoints", { url: `${away.url}/a?token=hidden-token` }, key);
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const refused = await call(url, "/v1/endpoints", { url: "http://127.0.0.1:9/gone", retry: { delays_s: [0] } }, key);
  assert.equal(refused.status, 201, JSON.stringify(refused.body));
  await call(url, "/v1/events", { type: "order.paid", data: {} }, key);
  const endpoint = String(created.body["id"]);
  await child.match(
    new RegExp(
      `\\d\\d:\\d\\d:\\d\\d {2}-> order\\.paid {2}evt_\\w+ {2}${endpoint} http://127\\.0\\.0\\.1:${port}/hook/a\\?\\*\\*\\* {2}` +
        "attempt 1 {2}answered 503 {2}next attempt at \\d\\d:\\d\\d:\\d\\d, in \\d+ s\\n",
    ),
  );
  await child.match(/127\.0\.0\.1:9\/gone {2}attempt 1 {2}[\w-]+: .+ {2}no next attempt, dead: .+\n/);
  assert.ok(!child.printed.stdout.includes("hidden-token"));
  assert.ok(!child.printed.stdout.includes(String(created.body["secret"])));
});

test("an attempt that was delivered is a line, too", async () => {
  using folder = openFolder();
  await using child = startDev(folder.path);
  const { curls } = await screenOf(child);
  await paste(curls[0]);
  const event = await paste(curls[1]);
  await child.match(
    new RegExp(
      `-> invoice\\.paid {2}${String(event["id"])} {2}ep_\\w+ http\\S+/ {2}attempt 1 {2}answered 200 {2}delivered\n`,
    ),
  );
});

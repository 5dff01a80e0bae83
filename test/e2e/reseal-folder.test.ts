/** `posthaste reseal` on a data folder: a new key for a stopped process, whenever the command dies. */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Folder } from "./posthaste-child.ts";
import { call, openFolder, spawnPosthaste, startServe } from "./posthaste-child.ts";

const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const ENDPOINTS = 40;
const running = new AbortController().signal;

async function run(folder: Folder, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using child = spawnPosthaste(words, { POSTHASTE_DATA: folder.path, PORT: "0", ...env });
  const { code } = await child.exited;
  return { code, printed: child.printed.stdout, complaint: child.printed.stderr };
}

async function fill(folder: Folder, env: Readonly<Record<string, string>> = {}): Promise<void> {
  await using serving = await startServe(folder.path, env);
  for (let index = 0; index < ENDPOINTS; index++) {
    const { status } = await call(serving.url, "/v1/endpoints", {
      url: "http://127.0.0.1:9/",
      tenant: `t${index % 3}`,
    });
    assert.equal(status, 201);
  }
  serving.kill("SIGTERM");
  await serving.exited;
}

/** The process starts, and each of its endpoints reads back. */
async function assertReads(folder: Folder, env: Readonly<Record<string, string>> = {}): Promise<void> {
  await using serving = await startServe(folder.path, env);
  const { body } = await call(serving.url, "/v1/endpoints?tenant=*&limit=100");
  assert.equal((body["data"] as unknown[]).length, ENDPOINTS);
  const { body: ready } = await call(serving.url, "/readyz");
  assert.equal(ready["degraded"], undefined);
  serving.kill("SIGTERM");
  await serving.exited;
}

test("the key of a folder is made anew, and the one before is kept for back-ups", async () => {
  using folder = openFolder();
  await fill(folder);
  const keyFile = join(folder.path, "master.key");
  const old = readFileSync(keyFile, "utf8");
  const counted = await run(folder, ["reseal", "--dry-run"]);
  assert.deepEqual([counted.code, counted.printed], [0, `${ENDPOINTS} endpoints, ${ENDPOINTS} to be sealed anew.\n`]);
  assert.equal(existsSync(`${keyFile}.next`), false);
  const done = await run(folder, ["reseal"]);
  assert.deepEqual([done.code, done.complaint], [0, ""]);
  assert.match(
    done.printed,
    /^40 endpoints, 40 were sealed anew\.\n.*master\.key holds the new key.*master\.key\.previous/,
  );
  assert.notEqual(readFileSync(keyFile, "utf8"), old);
  assert.equal(readFileSync(`${keyFile}.previous`, "utf8"), old);
  assert.deepEqual([statSync(keyFile).mode & 0o777, existsSync(`${keyFile}.next`)], [0o600, false]);
  await assertReads(folder);
  copyFileSync(`${keyFile}.previous`, keyFile);
  const { code, complaint } = await run(folder, ["serve"]);
  assert.equal(code, 1);
  assert.match(complaint, /master\.key does not hold the key/);
});

test("a running process keeps its folder: reseal says so and changes nothing", async () => {
  using folder = openFolder();
  await fill(folder);
  await using serving = await startServe(folder.path);
  const { code, complaint } = await run(folder, ["reseal"]);
  assert.equal(code, 1);
  assert.match(complaint, /in use by another Posthaste process/);
  assert.equal(existsSync(join(folder.path, "master.key.next")), false);
  serving.kill("SIGTERM");
  await serving.exited;
  await assertReads(folder);
});

test("a reseal that is killed at any moment leaves a folder that starts, and the next run ends it", async () => {
  for (const waitMs of [0, 5, 20]) {
    using folder = openFolder();
    await fill(folder);
    await using child = spawnPosthaste(["reseal"], { POSTHASTE_DATA: folder.path });
    const next = join(folder.path, "master.key.next");
    while (!existsSync(next) && !existsSync(join(folder.path, "master.key.previous"))) {
      await systemClock.sleep(0, running);
    }
    await systemClock.sleep(waitMs, running);
    child.kill("SIGKILL");
    await child.exited;
    await assertReads(folder);
    assert.equal((await run(folder, ["reseal"])).code, 0);
    await assertReads(folder);
  }
});

test("a key of the settings: both are needed until the command has run, and then the new one alone", async () => {
  using folder = openFolder();
  await fill(folder, { POSTHASTE_MASTER_KEY: key(1) });
  const both = { POSTHASTE_MASTER_KEY: key(2), POSTHASTE_MASTER_KEY_PREVIOUS: key(1) };
  await assertReads(folder, both);
  const early = await run(folder, ["serve"], { POSTHASTE_MASTER_KEY: key(2) });
  assert.equal(early.code, 1);
  assert.match(early.complaint, /POSTHASTE_MASTER_KEY_PREVIOUS to the one before until `posthaste reseal` is done/);
  const alone = await run(folder, ["reseal"], { POSTHASTE_MASTER_KEY: key(2) });
  assert.equal(alone.code, 2);
  assert.match(alone.complaint, /POSTHASTE_MASTER_KEY_PREVIOUS is missing/);
  assert.match((await run(folder, ["reseal"], both)).printed, /40 were sealed anew/);
  assert.match((await run(folder, ["reseal"], both)).printed, /40 endpoints, 0 were sealed anew/);
  await assertReads(folder, { POSTHASTE_MASTER_KEY: key(2) });
  assert.equal((await run(folder, ["serve"], { POSTHASTE_MASTER_KEY: key(1) })).code, 1);
});

test("from the key of the folder to one of the settings", async () => {
  using folder = openFolder();
  await fill(folder);
  assert.equal((await run(folder, ["reseal"], { POSTHASTE_MASTER_KEY: key(3) })).code, 0);
  await assertReads(folder, { POSTHASTE_MASTER_KEY: key(3) });
});

/**
 * A disk that fills up while `serve` runs: what was acknowledged stays, what cannot be written is refused with the time to
 * come again, and it goes on by itself when there is room. A small file system of the test's own, so Linux and root.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { waitFor } from "../support/services/wait-for.ts";
import { openCounter, untilDelivered } from "./load-under-kills.ts";
import { TEST_KEY, openFolder, spawnPosthaste, startServe } from "./posthaste-child.ts";

const WITHIN_MS = 90_000;
const onSmallDisk = { skip: process.getuid?.() === 0 ? false : "mounting a file system needs root" };

/** A file system of so many MiB at the path of a folder that is new. */
function mountSmall(path: string, mib: number): Disposable {
  mkdirSync(path, { mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m,mode=700`, "tmpfs", path]);
  return { [Symbol.dispose]: () => void execFileSync("umount", ["--lazy", path]) };
}

/** Leaves `bytesLeft` free at most; the file's removal frees the rest. */
function fill(folder: string, bytesLeft: number): string {
  const path = join(folder, "filler");
  const file = openSync(path, "a");
  const block = Buffer.alloc(64 * 1024);
  try {
    while (freeBytes(folder) > bytesLeft) writeSync(file, block);
  } finally {
    closeSync(file);
  }
  return path;
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

async function publish(url: string, index: number) {
  const response = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${TEST_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ type: "a.b", id: `own-${index}`, data: { text: "x".repeat(50_000) } }),
  });
  const body = (await response.json()) as Readonly<Record<string, unknown>>;
  return { status: response.status, body, retryAfter: response.headers.get("retry-after") };
}

test(
  "a disk that fills up refuses with 503 and Retry-After, loses nothing, and is good again without a restart",
  onSmallDisk,
  async () => {
    using folder = openFolder();
    const data = join(folder.path, "data");
    using mounted = mountSmall(data, 48);
    assert.ok(mounted);
    await using counter = await openCounter();
    await using serving = await startServe(data);
    const made = await fetch(`${serving.url}/v1/endpoints`, {
      method: "POST",
      headers: { authorization: `Bearer ${TEST_KEY}`, "content-type": "application/json" },
      body: JSON.stringify({ url: counter.url }),
    });
    assert.equal(made.status, 201);
    const acknowledged = new Set<string>();
    let index = 0;
    const publishNext = async () => {
      const answer = await publish(serving.url, index++);
      if (answer.status === 202) acknowledged.add(String(answer.body["id"]));
      return answer;
    };
    for (let count = 0; count < 20; count++) assert.equal((await publishNext()).status, 202);
    const filler = fill(data, 1024 * 1024);
    let refused = await publishNext();
    for (let count = 0; refused.status === 202 && count < 500; count++) refused = await publishNext();
    assert.equal(refused.status, 503, JSON.stringify(refused.body));
    assert.equal(refused.body["code"], "store-unavailable");
    assert.match(String(refused.body["detail"]), /^The store cannot be reached\. Try again in \d+ s\.$/);
    assert.ok(Number(refused.retryAfter) >= 1, String(refused.retryAfter));
    const unready = await fetch(`${serving.url}/readyz`);
    assert.equal(unready.status, 503);
    assert.match(await unready.text(), /full/, "the operator is told why");
    assert.equal((await fetch(`${serving.url}/livez`)).status, 200);
    assert.equal((await publishNext()).status, 503);
    rmSync(filler);
    await waitFor({
      fact: "an event to be taken again",
      withinMs: WITHIN_MS,
      holds: async () => (await publishNext()).status === 202,
    });
    assert.equal((await fetch(`${serving.url}/readyz`)).status, 200);
    assert.deepEqual(await untilDelivered(acknowledged, counter), []);
    serving.kill("SIGTERM");
    assert.equal((await serving.exited).code, 0);
    // What the process said of it is for whoever reads its log, and no stack.
    assert.doesNotMatch(serving.printed.stderr, /^ {4}at /m);
  },
);

test(
  "a disk that is full at the start, and one that is full for a backup, are told in one line",
  onSmallDisk,
  async () => {
    using folder = openFolder();
    const data = join(folder.path, "data");
    using mounted = mountSmall(data, 8);
    assert.ok(mounted);
    const used = join(data, "used");
    {
      await using before = await startServe(used);
      before.kill("SIGTERM");
      await before.exited;
    }
    fill(data, 0);
    for (const place of [used, join(data, "fresh")]) {
      const env = { PORT: "0", POSTHASTE_DATA: place, POSTHASTE_OPERATOR_KEY: TEST_KEY };
      await using child = spawnPosthaste(["serve"], env);
      assert.notEqual((await child.exited).code, 0);
      assert.match(child.printed.stderr, /^posthaste: [^\n]*disk is full[^\n]* Make room on that disk[^\n]*\n$/);
      assert.ok(child.printed.stderr.includes(place), "the folder is named");
    }
    const other = join(folder.path, "other");
    const complaint =
      /^posthaste: There is no room for the copy in [^\n]*data\. Make some, or name a file on another disk\.\n$/;
    await using serving = await startServe(other);
    for (const state of ["running", "stopped"]) {
      if (state === "stopped") serving.kill("SIGTERM");
      if (state === "stopped") await serving.exited;
      await using backup = spawnPosthaste(["backup", join(data, "copy.db")], { POSTHASTE_DATA: other });
      assert.equal((await backup.exited).code, 1);
      assert.match(backup.printed.stderr, complaint, state);
    }
    assert.deepEqual(readdirSync(data).toSorted(), ["filler", "fresh", "used"]);
  },
);

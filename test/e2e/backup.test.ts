/** `posthaste backup FILE` and the start from what it made: nothing that was acknowledged before it is missing there. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openCounter, planOf, publishAll, untilDelivered } from "./load-under-kills.ts";
import type { Serving } from "./posthaste-child.ts";
import { TEST_KEY, call, openFolder, spawnPosthaste, startServe } from "./posthaste-child.ts";

async function backup(folder: string, words: readonly string[]) {
  await using child = spawnPosthaste(["backup", ...words], { POSTHASTE_DATA: folder });
  const { code } = await child.exited;
  return { code, ...child.printed };
}

function targetOf(serving: Serving) {
  return { url: () => serving.url, isUp: () => Promise.resolve(), key: TEST_KEY };
}

/** `count` events, of about as many KiB together as `kib` for each. */
function plans(from: number, count: number, kib: number) {
  return Array.from({ length: count }, (_, index) => {
    const plan = planOf(from + index);
    const body = JSON.stringify({ ...JSON.parse(plan.body), data: { text: "x".repeat(kib * 1024) } });
    return { ...plan, body };
  }).values();
}

/** As docs/operations.md says: the copy as posthaste.db of a new folder, with the master key. */
function restore(file: string, from: string, folder: string): void {
  mkdirSync(folder, { mode: 0o700 });
  copyFileSync(file, join(folder, "posthaste.db"));
  copyFileSync(join(from, "master.key"), join(folder, "master.key"));
}

test("while a copy is under way events are taken, delivered and kept, and the copy starts with all that came before it", async () => {
  using folder = openFolder();
  const data = join(folder.path, "data");
  const file = join(folder.path, "copy.db");
  await using counter = await openCounter();
  await using paused = await openCounter();
  const serving = await startServe(data);
  const target = targetOf(serving);
  assert.equal((await call(serving.url, "/v1/endpoints", { url: counter.url })).status, 201);
  const wish = { url: paused.url, event_types: ["held"], paused: true };
  const endpoint = await call(serving.url, "/v1/endpoints", wish);
  assert.equal(endpoint.status, 201);
  assert.equal((await call(serving.url, "/v1/events", { type: "held", id: "held-1", data: {} })).status, 202);
  const before = await publishAll(target, plans(0, 60, 200), () => undefined);
  const busy = { isOver: false };
  const meanwhile = (function* (): Generator<{ body: string; headers: object }> {
    for (let index = 1000; !busy.isOver; index++) yield* plans(index * 10, 10, 20);
  })();
  let during = 0;
  const publishing = publishAll(target, meanwhile as ReturnType<typeof plans>, () => during++);
  const { code, stdout, stderr } = await backup(data, [file]);
  busy.isOver = true;
  const all = new Set([...before, ...(await publishing)]);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /copy\.db: the database, [\d.]+ MiB, copied while the process runs and found sound\.\n.*master\.key/,
  );
  assert.ok(during > 0);
  assert.deepEqual(await untilDelivered(all, counter), []);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder.path).toSorted(), ["copy.db", "data"]);
  assert.ok(!existsSync(join(data, "backup-segments")));
  serving.kill("SIGTERM");
  assert.equal((await serving.exited).code, 0);
  const restored = join(folder.path, "restored");
  restore(file, data, restored);
  await using again = await startServe(restored);
  for (const id of before) assert.equal((await call(again.url, `/v1/events/${id}`)).status, 200, id);
  // The secret of its endpoint opens, and what was held for it goes out.
  assert.equal(paused.arrivals(), 0);
  await resume(again.url, String(endpoint.body["id"]));
  assert.deepEqual(await untilDelivered(new Set(["held-1"]), paused), []);
});

async function resume(url: string, endpoint: string): Promise<void> {
  const headers = { authorization: `Bearer ${TEST_KEY}`, "content-type": "application/json" };
  const body = JSON.stringify({ paused: false });
  const answer = await fetch(`${url}/v1/endpoints/${endpoint}`, { method: "PATCH", headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

test("for as long as a copier takes, publishers are answered and events delivered; segments keep the WAL small", async () => {
  using folder = openFolder();
  await using counter = await openCounter();
  await using serving = await startServe(folder.path);
  assert.equal((await call(serving.url, "/v1/endpoints", { url: counter.url })).status, 201);
  const socket = connect(join(folder.path, "backup.sock"));
  const [first] = (await once(socket.setEncoding("utf8"), "data")) as [string];
  assert.deepEqual(JSON.parse(first), { kind: "copy", database: join(folder.path, "posthaste.db") });
  const size = statSync(join(folder.path, "posthaste.db")).size;
  // All of it while the copy is under way, for it ends only when we say so.
  const ids = await publishAll(targetOf(serving), plans(0, 150, 200), () => undefined);
  assert.deepEqual(await untilDelivered(ids, counter), []);
  assert.ok(statSync(join(folder.path, "posthaste.db")).size > size, "a segment was moved into the file meanwhile");
  assert.ok(statSync(join(folder.path, "posthaste.db-wal")).size < 34 * 1024 ** 2);
  socket.write("copied\n");
  const [second] = (await once(socket, "data")) as [string];
  const { kind, paths } = JSON.parse(second) as { kind: string; paths: string[] };
  assert.equal(kind, "segments");
  assert.ok(paths.length >= 2 && paths.every((path) => existsSync(path)));
  socket.destroy();
  while (existsSync(join(folder.path, "backup-segments"))) await call(serving.url, "/v1/events");
});

/**
 * Between a backup and the process: what the process says once the file is read does not come through. Resolves when the backup has
 * read it, and asks for the rest.
 */
async function standBetween(data: string) {
  const [door, real] = [join(data, "backup.sock"), join(data, "real.sock")];
  renameSync(door, real);
  const copied = Promise.withResolvers<void>();
  const server = createServer((client) => {
    const running = connect(real);
    running.once("data", (line: Buffer) => client.write(line));
    client.on("data", (word: Buffer) => {
      running.write(word);
      copied.resolve();
    });
    for (const [one, other] of [
      [client, running],
      [running, client],
    ] as const) {
      one.on("error", () => undefined).on("close", () => other.destroy());
    }
  });
  await once(server.listen(door), "listening");
  return {
    copied: copied.promise,
    [Symbol.dispose]: () => {
      server.close();
      renameSync(real, door);
    },
  };
}

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`a backup that ends in the middle by ${signal} leaves no half a copy, and the process and the next backup go on`, async () => {
    using folder = openFolder();
    const data = join(folder.path, "data");
    const file = join(folder.path, "copy.db");
    await using serving = await startServe(data);
    const before = await publishAll(targetOf(serving), plans(0, 30, 200), () => undefined);
    {
      using between = await standBetween(data);
      await using child = spawnPosthaste(["backup", file], { POSTHASTE_DATA: data });
      await between.copied;
      child.kill(signal);
      const killed = signal === "SIGKILL" ? { code: null, signal } : { code: 1, signal: null };
      assert.deepEqual(await child.exited, killed, child.printed.stderr);
    }
    assert.ok(!existsSync(file));
    if (signal === "SIGTERM") assert.deepEqual(readdirSync(folder.path), ["data"]);
    while (existsSync(join(data, "backup-segments"))) await call(serving.url, "/v1/events");
    const after = await publishAll(targetOf(serving), plans(100, 5, 20), () => undefined);
    const { code, stderr } = await backup(data, [file]);
    assert.equal(code, 0, stderr);
    const copy = new DatabaseSync(file, { readOnly: true });
    try {
      const kept = copy.prepare("SELECT event_id AS id FROM events").all() as { readonly id: string }[];
      assert.deepEqual(kept.map(({ id }) => id).toSorted(), [...before, ...after].toSorted());
    } finally {
      copy.close();
    }
  });
}

test("the folder of a stopped process is copied as well; a file that is there is kept unless --force says otherwise", async () => {
  using folder = openFolder();
  const data = join(folder.path, "data");
  const file = join(folder.path, "copy.db");
  const serving = await startServe(data);
  assert.equal((await call(serving.url, "/v1/events", { type: "a", id: "e1", data: {} })).status, 202);
  serving.kill("SIGKILL");
  await serving.exited;
  writeFileSync(file, "something else");
  const refused = await backup(data, [file]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^posthaste: .*copy\.db exists\. Name another file, or add --force to replace it\.\n$/);
  assert.equal(statSync(file).size, "something else".length);
  const { code, stdout, stderr } = await backup(data, ["--force", file]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /copied from the folder of a stopped process and found sound/);
  const restored = join(folder.path, "restored");
  restore(file, data, restored);
  await using again = await startServe(restored);
  assert.equal((await call(again.url, "/v1/events/e1")).status, 200);
});

test("a backup that cannot be made leaves nothing, and says in one line what to do", async () => {
  using folder = openFolder();
  const data = join(folder.path, "data");
  await using serving = await startServe(data);
  const complaints: readonly (readonly [string, RegExp])[] = [
    [join(data, "copy.db"), /inside the data folder\. Name a file elsewhere/],
    [join(folder.path, "none/copy.db"), /There is no folder .*none\. Make it/],
    [folder.path, /is a folder\. Name a file in it/],
    [`${join(folder.path, "new")}/`, /new\/ names a folder\. Name a file in it/],
    [join("/proc", "copy.db"), /copy\.db cannot be written \(.*\)\. Name another file, or give its folder/],
    ["/dev/null", /\/dev\/null is no regular file\. Name another file/],
  ];
  for (const [file, complaint] of complaints) {
    const { code, stderr } = await backup(data, [file]);
    assert.equal(code, 1);
    assert.match(stderr, /^posthaste: [^\n]+\n$/);
    assert.match(stderr, complaint);
  }
  const socket = connect(join(data, "backup.sock"));
  await once(socket, "data");
  const second = await backup(data, [join(folder.path, "copy.db")]);
  assert.match(
    second.stderr,
    /^posthaste: The running process refuses: Another backup is under way\. Wait for its end\.\n$/,
  );
  socket.destroy();
  assert.deepEqual(readdirSync(folder.path), ["data"]);
  rmSync(join(data, "backup.sock"));
  const unreachable = await backup(data, [join(folder.path, "copy.db")]);
  assert.match(unreachable.stderr, /A process has .*data open and offers no copy of it .*Stop it first\.\n$/);
  assert.deepEqual(readdirSync(folder.path), ["data"]);
  serving.kill("SIGTERM");
  assert.equal((await serving.exited).code, 0);
});

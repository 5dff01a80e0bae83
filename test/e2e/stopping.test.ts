/** A start that fails ends; one signal ends any program at any time, whichever way it comes; nothing is left running. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { waitFor } from "../support/services/wait-for.ts";
import { openCounter, untilDelivered } from "./load-under-kills.ts";
import { openDistributedHarness, prefixEnv, storesEnv } from "./distributed-harness.ts";
import { call, openFolder, spawnPosthaste, spawnWatched, startServe, TEST_KEY } from "./posthaste-child.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const entryOf = { gateway: `${ROOT}gateway/main/bun.ts`, processor: `${ROOT}processor/main/process.ts` } as const;

test("a start with another master key ends with 1, also while a retry of the run before is due later", async () => {
  using folder = openFolder();
  {
    await using serving = await startServe(folder.path, { POSTHASTE_MASTER_KEY: key(1) });
    assert.equal((await call(serving.url, "/v1/endpoints", { url: "http://127.0.0.1:9/" })).status, 201);
    const { body } = await call(serving.url, "/v1/events", { type: "order.paid", data: {} });
    await serving.match(new RegExp(`"event":"delivery.retrying","event_id":"${String(body["id"])}"`));
    serving.kill("SIGTERM");
    assert.deepEqual(await serving.exited, { code: 0, signal: null });
  }
  for (const command of ["serve", "dev"]) {
    const env = { PORT: "0", POSTHASTE_DATA: folder.path, POSTHASTE_MASTER_KEY: key(2) };
    await using child = spawnPosthaste([command], env);
    assert.deepEqual(await child.exited, { code: 1, signal: null });
    assert.match(child.printed.stderr, /^posthaste: POSTHASTE_MASTER_KEY is not the key .*\n$/);
  }
});

/** Takes connections and never says a word, as a store that hangs. */
async function openSilentStore() {
  const server = createServer((socket) => socket.on("error", () => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    at: `127.0.0.1:${port}`,
    connected: once(server, "connection"),
    [Symbol.dispose]: () => void server.close(),
  };
}

for (const kind of ["gateway", "processor"] as const) {
  test(`one SIGTERM ends a ${kind} that waits for a store during its start`, async () => {
    using silent = await openSilentStore();
    const settings = { ...storesEnv(), ...prefixEnv("t-never-made"), POSTHASTE_MASTER_KEY: key(1), PORT: "0" };
    await using child = spawnWatched(process.execPath, [entryOf[kind]], { ...settings, KAFKA_BROKERS: silent.at });
    await silent.connected;
    child.kill("SIGTERM");
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.printed.stderr);
  });
}

test("on stop, /readyz of serve says 503 while requests are still taken, and then it ends", async () => {
  using folder = openFolder();
  {
    await using serving = await startServe(folder.path, { STOP_NOTICE_S: "15" });
    serving.kill("SIGTERM");
    await serving.match(/"event":"server\.stopping"/);
    const ready = await fetch(`${serving.url}/readyz`);
    assert.deepEqual([ready.status, ((await ready.json()) as { code: string }).code], [503, "stopping"]);
    assert.equal((await call(serving.url, "/v1/events", { type: "order.paid", data: {} })).status, 202);
    serving.kill("SIGINT");
    assert.deepEqual(await serving.exited, { code: 1, signal: null });
  }
  await using serving = await startServe(folder.path, { STOP_NOTICE_S: "1" });
  serving.kill("SIGTERM");
  assert.deepEqual(await serving.exited, { code: 0, signal: null });
});

test("on stop, /readyz of gateway and processor says 503 before nobody answers", async () => {
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env: { STOP_NOTICE_S: "15" } });
  for (const program of [...harness.gateways, ...harness.processors]) {
    process.kill(program.pid, "SIGTERM");
    await waitFor({
      fact: "/readyz to say 503",
      withinMs: 10_000,
      holds: async () => (await fetch(`${program.url}/readyz`)).status === 503,
    });
    process.kill(program.pid, "SIGINT");
    assert.deepEqual(await program.ended, { code: 1, signal: null });
  }
});

test("SIGHUP, as when its terminal goes away, ends serve in order; a second one at once", async () => {
  using folder = openFolder();
  {
    await using serving = await startServe(folder.path);
    serving.kill("SIGHUP");
    assert.deepEqual(await serving.exited, { code: 0, signal: null });
    assert.match(serving.printed.stdout, /"event":"server\.stopped"/);
  }
  await using serving = await startServe(folder.path, { STOP_NOTICE_S: "15" });
  serving.kill("SIGHUP");
  await serving.match(/"event":"server\.stopping"/);
  serving.kill("SIGTERM");
  assert.deepEqual(await serving.exited, { code: 1, signal: null });
});

test("SIGHUP ends gateway and processor in order", async () => {
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
  for (const program of [...harness.gateways, ...harness.processors]) {
    process.kill(program.pid, "SIGHUP");
    assert.deepEqual(await program.ended, { code: 0, signal: null });
  }
});

test("under nohup SIGHUP is ignored, and SIGTERM ends it", async () => {
  using folder = openFolder();
  const words = [process.execPath, `${ROOT}cli/main/posthaste.ts`, "serve"];
  await using serving = spawnWatched("nohup", words, { PORT: "0", POSTHASTE_DATA: folder.path });
  const [, url = ""] = await serving.match(/"event":"server\.listening","url":"([^"]+)"/);
  serving.kill("SIGHUP");
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  serving.kill("SIGTERM");
  assert.deepEqual(await serving.exited, { code: 0, signal: null });
});

/** `npm run serve` as the leader of a group of its own, as a terminal or a service manager starts it. */
function spawnNpm(folder: string): { readonly npm: ChildProcess; readonly printed: () => string } {
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, PORT: "0", STOP_NOTICE_S: "0", POSTHASTE_DATA: folder, POSTHASTE_OPERATOR_KEY: TEST_KEY };
  const npm = spawn("npm", ["run", "serve"], { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "ignore"] });
  let printed = "";
  npm.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  return { npm, printed: () => printed };
}

for (const [whom, signal, isGroup] of [
  ["npm alone", "SIGTERM", false],
  ["its whole group, which then gets it twice", "SIGTERM", true],
  ["its whole group, as Ctrl-C does", "SIGINT", true],
] as const) {
  test(`${signal} to ${whom} ends npm run serve in order`, async () => {
    using folder = openFolder();
    const { npm, printed } = spawnNpm(folder.path);
    const closed = once(npm, "close");
    const pid = npm.pid ?? assert.fail("npm did not start");
    try {
      await waitFor({
        fact: "it to listen",
        withinMs: 90_000,
        holds: () => printed().includes('"event":"server.listening"'),
      });
      process.kill(isGroup ? -pid : pid, signal);
      await closed;
      assert.match(printed(), /"event":"server\.stopped"/);
    } finally {
      if (npm.exitCode === null && npm.signalCode === null) process.kill(-pid, "SIGKILL");
    }
  });
}

for (const command of ["serve", "dev"]) {
  test(`a reader of what ${command} prints that goes away stops neither deliveries nor an orderly end`, async () => {
    using folder = openFolder();
    const { PATH = "" } = process.env;
    const env = { PATH, PORT: "0", STOP_NOTICE_S: "0", POSTHASTE_DATA: folder.path, POSTHASTE_OPERATOR_KEY: TEST_KEY };
    const child = spawn(process.execPath, [`${ROOT}cli/main/posthaste.ts`, command], {
      env: { ...env, POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const gone = once(child, "exit");
    try {
      let printed = "";
      for await (const text of child.stdout.setEncoding("utf8") as AsyncIterable<string>) {
        printed += text;
        // Leaving the loop closes the pipe.
        if (/"server\.listening".*\n|Ctrl-C stops/.test(printed)) break;
      }
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(printed)?.[0] ?? assert.fail(printed);
      await using counter = await openCounter();
      assert.equal((await call(url, "/v1/endpoints", { url: counter.url })).status, 201);
      for (let index = 0; index < 3; index++) {
        const { status, body } = await call(url, "/v1/events", { type: "order.paid", data: {} });
        assert.equal(status, 202);
        assert.deepEqual(await untilDelivered(new Set([String(body["id"])]), counter), []);
      }
      child.kill("SIGTERM");
      assert.deepEqual(await gone, [0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });
}

test("every npm script hands its process over to the program, so that signals reach it", () => {
  const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { scripts: Record<string, string> };
  const wrapped = Object.entries(scripts).filter(
    ([, line]) => /\bbun\b/.test(line) && !/^(?:\w+=\d+ )?exec bun /.test(line),
  );
  assert.deepEqual(wrapped, []);
});

test("what demo --distributed started ends with it", async () => {
  const { PATH = "" } = process.env;
  const demo = spawn(process.execPath, [`${ROOT}cli/main/posthaste.ts`, "demo", "--distributed"], {
    env: { PATH, ...storesEnv() },
    stdio: "ignore",
  });
  const gone = once(demo, "exit");
  const childrenOf = (pid: number): number[] => {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text === "" ? [] : text.split(" ").map(Number);
  };
  const pid = demo.pid ?? assert.fail("the demo did not start");
  await waitFor({ fact: "four programs to start", withinMs: 90_000, holds: () => childrenOf(pid).length === 4 });
  const programs = childrenOf(pid);
  demo.kill("SIGTERM");
  await gone;
  const runs = (program: number): boolean => {
    try {
      process.kill(program, 0);
      return true;
    } catch {
      return false;
    }
  };
  await waitFor({ fact: "its programs to end", withinMs: 90_000, holds: () => !programs.some(runs) });
});

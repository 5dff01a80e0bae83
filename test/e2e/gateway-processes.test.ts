/** Several gateway processes on one port, by their parent: they share the load, are replaced when they die, and end with it. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { buildNode } from "@posthaste/gateway/main/build-node.ts";
import type { Command } from "posthaste/program.ts";
import { startProgram } from "posthaste/program.ts";
import { DENO, NODE_20, NODE_24, denoProgram, requireRuntimes } from "../support/other-runtimes.ts";
import { scrape } from "../support/scrape.ts";
import { freePort } from "../support/services/free-ports.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness, prefixEnv, storesEnv } from "./distributed-harness.ts";

const ENTRIES = join(import.meta.dirname, "../../gateway/main");
const RUNTIMES: Readonly<Record<string, Command>> = {
  Bun: [process.execPath, join(ENTRIES, "bun.ts")],
  "Node 24": [NODE_24, join(ENTRIES, "node.ts")],
};
const COUNT = 3;
const MASTER = { POSTHASTE_MASTER_KEY: Buffer.alloc(32, 1).toString("base64") };
/** Well below what a stop in order takes. */
const GONE_MS = 5000;
const WITHIN_MS = 60_000;
requireRuntimes(NODE_20, NODE_24, DENO);

async function open(gatewayCommand: Command): Promise<DistributedHarness> {
  const env = { GATEWAY_PROCESSES: String(COUNT) };
  const harness = await openDistributedHarness({ gateways: 1, processors: 0, env, gatewayCommand });
  await untilListening(harness, COUNT);
  return harness;
}

/** So many have said so since the start. */
const untilListening = (harness: DistributedHarness, count: number): Promise<void> =>
  waitFor({
    fact: `${count} processes to listen`,
    withinMs: WITHIN_MS,
    holds: async () => printedBy(harness).split('"event":"gateway.listening"').length - 1 >= count,
  });

const printedBy = (harness: DistributedHarness): string => harness.gateways[0]?.printed() ?? "";
const parentOf = (harness: DistributedHarness): number => harness.gateways[0]?.pid ?? 0;

/** Linux tells: the processes whose parent this is. */
function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

const untilGone = (pids: readonly number[], withinMs = WITHIN_MS): Promise<void> =>
  waitFor({
    fact: "the processes to be gone",
    withinMs,
    holds: async () => pids.every((pid) => !existsSync(`/proc/${pid}`)),
  });

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Over a connection of its own. */
async function publish(harness: DistributedHarness): Promise<number> {
  const response = await fetch(`${harness.gateways[0]?.url ?? ""}/v1/events`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${harness.operatorKey}`,
      "content-type": "application/json",
      connection: "close",
    },
    body: JSON.stringify({ type: "a.b", priority: "MEDIUM", data: {} }),
  });
  await response.arrayBuffer();
  return response.status;
}

for (const [runtime, command] of Object.entries(RUNTIMES)) {
  test(`${runtime}: processes share the port, and /metrics of any has the samples of all`, async () => {
    await using harness = await open(command);
    for (let times = 0; times < 60; times++) assert.equal(await publish(harness), 202);
    const { sum, families } = await scrape(harness.gateways[0]?.url);
    const accepted = Array.from({ length: COUNT }, (_, index) =>
      sum("posthaste_accept_duration_seconds_count", { process: String(index) }),
    );
    assert.equal(
      accepted.reduce((all, each) => all + each, 0),
      60,
    );
    assert.ok(accepted.filter((each) => each > 0).length >= 2, `accepted by process: ${accepted.join(", ")}`);
    const processes = new Set(families.flatMap(({ samples }) => samples.map(({ labels }) => labels["process"])));
    assert.deepEqual(processes, new Set(["0", "1", "2"]));
    assert.deepEqual(await harness.gateways[0]?.end("SIGTERM"), { code: 0, signal: null });
  });

  test(`${runtime}: a process that is killed is replaced, and who asks once more is answered meanwhile`, async () => {
    await using harness = await open(command);
    const killed = childrenOf(parentOf(harness))[1] ?? 0;
    process.kill(killed, "SIGKILL");
    for (let times = 0; times < 100; times++) {
      const status = await publish(harness).catch(() => publish(harness));
      assert.equal(status, 202);
    }
    await untilListening(harness, COUNT + 1);
    assert.match(
      printedBy(harness),
      new RegExp(`"event":"gateway.process_ended".*"pid":${killed},.*"signal":"SIGKILL"`),
    );
    const children = childrenOf(parentOf(harness));
    assert.ok(children.length === COUNT && !children.includes(killed));
  });

  test(`${runtime}: processes whose parent is killed answer what they have begun, and end`, async () => {
    await using harness = await open(command);
    const children = childrenOf(parentOf(harness));
    const { url = "" } = harness.gateways[0] ?? {};
    await harness.gateways[0]?.end("SIGKILL");
    await untilGone(children);
    await assert.rejects(fetch(`${url}/readyz`));
  });
}

test("Node 24: what a killed parent had handed over and nobody had taken ends no process", async () => {
  await using harness = await open(RUNTIMES["Node 24"] ?? ["node"]);
  const children = childrenOf(parentOf(harness));
  const { port } = new URL(harness.gateways[0]?.url ?? "");
  const openFiles = (): number => readdirSync(`/proc/${parentOf(harness)}/fd`).length;
  const before = openFiles();
  for (const pid of children) process.kill(pid, "SIGSTOP");
  const sockets = await Promise.all(Array.from({ length: 2 * COUNT }, () => connected(Number(port))));
  await waitFor({
    fact: "the connections to be handed over",
    withinMs: WITHIN_MS,
    holds: async () => openFiles() >= before + sockets.length,
  });
  process.kill(parentOf(harness), "SIGKILL");
  for (const pid of children) process.kill(pid, "SIGCONT");
  await untilGone(children);
  for (const socket of sockets) socket.destroy();
  assert.doesNotMatch(printedBy(harness), /EPIPE/);
});

test("a second signal ends the processes at once", async () => {
  const env = { GATEWAY_PROCESSES: String(COUNT), STOP_NOTICE_S: "15" };
  await using harness = await openDistributedHarness({ gateways: 1, processors: 0, env });
  await untilListening(harness, COUNT);
  const children = childrenOf(parentOf(harness));
  process.kill(parentOf(harness), "SIGTERM");
  await waitFor({
    fact: "the stop to be known",
    withinMs: WITHIN_MS,
    holds: async () => (await fetch(`${harness.gateways[0]?.url ?? ""}/readyz`)).status === 503,
  });
  assert.deepEqual(await harness.gateways[0]?.end("SIGINT"), { code: 1, signal: null });
  await untilGone(children, GONE_MS);
});

test(
  "a stop that comes while the processes are loaded is heard: the file for Node 20",
  { timeout: 120_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "posthaste-bundle-"));
    try {
      const file = join(folder, "node.js");
      writeFileSync(file, await buildNode());
      for (let times = 0; times < 3; times++) {
        const child = spawn(NODE_20, [file], {
          env: {
            ...storesEnv(),
            ...prefixEnv(`t${randomBytes(6).toString("hex")}`),
            ...MASTER,
            PORT: "0",
            GATEWAY_PROCESSES: "2",
          },
          stdio: "ignore",
        });
        const ended = once(child, "exit");
        const pid = child.pid ?? 0;
        await waitFor({ fact: "a process", withinMs: WITHIN_MS, holds: async () => childrenOf(pid).length > 0 });
        child.kill("SIGTERM");
        assert.deepEqual(await ended, [0, null]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test("a process that cannot be started, as no descriptor is left, is started once there is one", async () => {
  await using harness = await open(RUNTIMES["Bun"] ?? ["bun"]);
  const limit = (files: number): void => {
    execFileSync("/usr/bin/prlimit", ["--pid", String(parentOf(harness)), `--nofile=${files}:`]);
  };
  limit(4);
  process.kill(childrenOf(parentOf(harness))[0] ?? 0, "SIGKILL");
  await waitFor({
    fact: "starts in vain",
    withinMs: WITHIN_MS,
    holds: async () => printedBy(harness).split('"event":"gateway.process_ended"').length - 1 >= 3,
  });
  limit(1024);
  await untilListening(harness, COUNT + 1);
  assert.deepEqual(await harness.gateways[0]?.end("SIGTERM"), { code: 0, signal: null });
});

test("a process that stands still is replaced", { timeout: 120_000 }, async () => {
  await using harness = await open(RUNTIMES["Bun"] ?? ["bun"]);
  const [frozen = 0] = childrenOf(parentOf(harness));
  process.kill(frozen, "SIGSTOP");
  await untilListening(harness, COUNT + 1);
  assert.match(printedBy(harness), new RegExp(`"event":"gateway.process_stands_still".*"pid":${frozen}`));
  assert.ok(!existsSync(`/proc/${frozen}`));
});

test("what keeps the processes from starting is said once, and the program ends", async () => {
  const env = { ...storesEnv(), ...MASTER, GATEWAY_PROCESSES: "3" };
  const away = { ...env, REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
  await assert.rejects(startProgram("gateway", away), (error: Error) => {
    assert.equal(error.message.split("gateway: ").length - 1, 1, error.message);
    return true;
  });
  await assert.rejects(startProgram("gateway", { ...env, GATEWAY_COUNT: "2" }), /GATEWAY_COUNT .* GATEWAY_PROCESSES/);
  await assert.rejects(
    startProgram("gateway", { ...env, GATEWAY_PROCESSES: "65" }),
    /GATEWAY_PROCESSES must be a whole/,
  );
  const onDeno = startProgram("gateway", env, denoProgram(join(ENTRIES, "deno.ts")));
  await assert.rejects(onDeno, /GATEWAY_PROCESSES must be 1 on Deno/);
  await assert.rejects(startProgram("serve", { GATEWAY_PROCESSES: "2" }), /GATEWAY_PROCESSES must be 1 here/);
});

test("another program on the port is refused, and so are several processes on a port that is taken", async () => {
  await using harness = await open(RUNTIMES["Bun"] ?? ["bun"]);
  const { port } = new URL(harness.gateways[0]?.url ?? "");
  const env = { ...storesEnv(), ...MASTER, PORT: port };
  const prefix = { ...prefixEnv(harness.prefix), REDIS_PREFIX: `${harness.prefix}other:` };
  for (const processes of ["1", "2"]) {
    const second = startProgram("gateway", { ...env, ...prefix, GATEWAY_PROCESSES: processes });
    await assert.rejects(second, /is in use by another program/);
  }
});

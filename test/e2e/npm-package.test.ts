/** The packed `posthaste` where there is no checkout: its first delivery, its launcher, and what is in it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { HEAP_SETTING } from "posthaste/program.ts";
import { machine, openPackages } from "./installed-package.ts";
import type { Child } from "./posthaste-child.ts";
import { spawnWatched } from "./posthaste-child.ts";

const ROOT = join(import.meta.dirname, "../..");
const MEGABYTE = 1024 ** 2;

const packed = await openPackages();
after(() => packed[Symbol.dispose]());
const { program, client, install, run } = packed;
const startedAtMs = performance.now();
const project = install("project", program.file);

const npx = (...words: readonly string[]) => run(["npx", "--no-install", "posthaste", ...words], project);

/** `exec`, so that signals reach what the test starts. */
function start(command: string, env: Readonly<Record<string, string>> = {}): Child {
  return spawnWatched("sh", ["-c", `cd "${project}" && exec ${command}`], { ...machine, PORT: "0", ...env });
}

/** In order: a launcher that is killed leaves its program behind. */
async function stop(child: Child): Promise<void> {
  child.kill("SIGTERM");
  await child.exited;
}

/** The program that a launcher started. */
function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
}

async function paste(child: Child, index: number): Promise<void> {
  await child.match(/Ctrl-C stops/);
  const line = child.printed.stdout.split("\n").filter((text) => text.startsWith("curl "))[index];
  const { status, output } = run(["sh", "-c", line ?? "exit 9"], project);
  assert.equal(status, 0, output);
}

test("npx posthaste dev in an empty folder: what its screen says to paste brings a verified delivery", async () => {
  await using child = start("npx --no-install posthaste dev");
  await paste(child, 0);
  await paste(child, 1);
  await child.match(/invoice\.paid {2}evt_\w+ {2}attempt 1 {2}\d+ bytes {2}signature verified\n/);
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  console.log(`from npm install to the first verified delivery: ${seconds} s`);
  assert.ok(existsSync(join(project, ".posthaste/posthaste.db")), "its data is in the folder it was started in");
  const url = /^ {2}API +(\S+)$/m.exec(child.printed.stdout)?.[1] ?? "";
  assert.match(await (await fetch(`${url}/dashboard/plot.js`)).text(), /MIT License[^]*var uPlot=/);
  assert.match(readFileSync(join(project, "node_modules/posthaste/THIRD-PARTY-LICENSES"), "utf8"), /^uplot 1\.6\.32$/m);
  await stop(child);
  await child.match(/Stopping: attempts in flight end first/);
});

test("SIGTERM, SIGINT and SIGHUP go through to the program, which ends in order", async () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    await using child = start("node_modules/.bin/posthaste dev");
    await child.match(/Ctrl-C stops/);
    child.kill(signal);
    assert.deepEqual(await child.exited, { code: 0, signal: null }, signal);
    assert.match(child.printed.stdout, /Stopping: attempts in flight end first/, signal);
  }
});

test("the launcher ends as the program ended, by its exit code or by its signal", async () => {
  assert.equal(npx("no-such-command").status, 2);
  const { status, output } = npx("demo");
  assert.equal(status, 2);
  assert.match(output, /^posthaste: The payloads of the demo are not installed here/m);
  await using child = start("node_modules/.bin/posthaste dev");
  await child.match(/Ctrl-C stops/);
  process.kill(childOf(child.pid), "SIGKILL");
  assert.deepEqual(await child.exited, { code: null, signal: "SIGKILL" });
});

test("the program gets the heap's setting of the npm scripts, and settings from the environment alone", async () => {
  writeFileSync(join(project, ".env"), "LOG_LEVEL=wrong\n");
  await using child = start("node_modules/.bin/posthaste dev");
  await child.match(/Ctrl-C stops/);
  const environment = readFileSync(`/proc/${childOf(child.pid)}/environ`, "utf8").split("\0");
  for (const [name, value] of Object.entries(HEAP_SETTING)) assert.ok(environment.includes(`${name}=${value}`));
  await stop(child);
});

test("--version and --help answer, for the programs too", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "cli/package.json"), "utf8")) as { readonly version: string };
  assert.deepEqual(npx("--version"), { status: 0, output: `${version}\n` });
  for (const words of [["--help"], ["gateway", "--help"], ["processor", "--help"]]) {
    const { status, output } = npx(...words);
    assert.equal(status, 0, output);
    assert.match(output, /Usage: /);
    assert.match(output, /KAFKA_BROKERS/);
  }
});

test("gateway and processor start with all that they need for Redis and Kafka", () => {
  const env = {
    REDIS_URL: "redis://127.0.0.1:1",
    KAFKA_BROKERS: "127.0.0.1:1",
    POSTHASTE_MASTER_KEY: Buffer.alloc(32).toString("base64"),
    POSTHASTE_HTTP_CLIENT: "undici",
    // The gateway's parent starts others of its kind.
    GATEWAY_PROCESSES: "2",
  };
  for (const word of ["gateway", "processor"]) {
    const { status, output } = run(["node_modules/.bin/posthaste", word], project, env);
    assert.equal(status, 1, output);
    assert.match(output, new RegExp(`^${word}: .*(Redis|Kafka) .*not reachable`, "m"));
  }
});

test("undici is inside, too: it delivers when it is asked for", async () => {
  await using child = start("node_modules/.bin/posthaste dev", { POSTHASTE_HTTP_CLIENT: "undici" });
  await paste(child, 0);
  await paste(child, 1);
  await child.match(/invoice\.paid .* answered 200 {2}delivered\n/);
  await stop(child);
});

test("it runs where npm ran no install scripts", () => {
  const folder = install("without-scripts", "--ignore-scripts", program.file);
  const { status, output } = run(["node_modules/.bin/posthaste", "--version"], folder);
  assert.equal(status, 0, output);
});

test("it brings the runtime and nothing else, has what it needs inside, and names no place of the machine it was built on", () => {
  const { packages } = JSON.parse(readFileSync(join(project, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, object>>;
  };
  const names = Object.keys(packages).filter((path) => path !== "" && !path.includes("@oven/"));
  assert.deepEqual(names, ["node_modules/bun", "node_modules/posthaste"]);
  assert.ok(program.bytes < 2 * MEGABYTE, `${program.bytes} bytes`);
  const folder = join(project, "node_modules/posthaste");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  for (const name of ["LICENSE", "README.md", "THIRD-PARTY-LICENSES", "dist/worker.d.ts"])
    assert.ok(files.includes(name), name);
  assert.deepEqual(
    files.filter((name) => /\.(?:node|lua)$|(?<!\.d)\.ts$/.test(name)),
    [],
  );
  for (const name of files.filter((file) => file.endsWith(".js")))
    assert.ok(!readFileSync(join(folder, name), "utf8").includes(`"${ROOT}`), name);
  const licenses = readFileSync(join(folder, "THIRD-PARTY-LICENSES"), "utf8");
  for (const name of ["hono", "kafkajs", "ioredis", "valibot", "undici"])
    assert.match(licenses, new RegExp(`^${name} \\d`, "m"));
});

test("what can be imported has types: the worker, and the client", () => {
  const folder = install("importing", program.file, client.file);
  const code = `import worker from "posthaste/worker";
import { createClient } from "@posthaste/client";
const answer: Promise<Response> = worker.fetch(new Request("http://a/readyz"), {}, { waitUntil: () => undefined });
answer.then(({ status }) => console.log(status, typeof createClient));
`;
  writeFileSync(join(folder, "import.ts"), code);
  const options = { target: "esnext", module: "nodenext", strict: true, noEmit: true, types: [] };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { ...options, lib: ["esnext", "dom"] }, files: ["import.ts"] }),
  );
  assert.deepEqual(run([join(ROOT, "node_modules/.bin/tsc"), "-p", "."], folder), { status: 0, output: "" });
  const { output } = run(["node_modules/.bin/bun", "import.ts"], folder);
  assert.match(output, /^503 function$/m);
});

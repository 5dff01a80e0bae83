/** The command line as a process: its ends, its pipes, a real terminal, and the programs that it becomes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { createClient } from "@posthaste/client/public.ts";
import { openFolder, spawnPosthaste, spawnWatched, startServe, TEST_KEY } from "../e2e/posthaste-child.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";
import { runCommand } from "./run-command.ts";

const ENTRY = join(import.meta.dirname, "../../cli/main/posthaste.ts");
const POSTHASTE = `'${process.execPath}' '${ENTRY}'`;

test("a reader that goes away ends a command quietly, and Ctrl-C ends one at once with 130", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path);
  const env = { POSTHASTE_URL: serving.url, POSTHASTE_API_KEY: TEST_KEY };
  const client = createClient({ url: serving.url, apiKey: TEST_KEY });
  const events = Array.from({ length: 1000 }, (_, n) => ({ type: "order.paid", data: "x".repeat(100), id: `e-${n}` }));
  for (const part of [0, 1, 2]) {
    await client.publishBatch(events.map((event) => ({ ...event, id: `${event.id}-${part}` })));
  }
  const line = `${POSTHASTE} events list --all --json | head -1; echo "codes \${PIPESTATUS[0]}"`;
  await using piped = spawnWatched("bash", ["-c", line], env);
  assert.equal((await piped.exited).code, 0);
  assert.match(piped.printed.stdout, /^\{"id":"e-999-2".*\}\ncodes 0\n$/);
  assert.equal(piped.printed.stderr, "");
  await using slow = spawnWatched("bash", ["-c", `${POSTHASTE} events list --all --json | { sleep 1; wc -l; }`], env);
  await slow.exited;
  assert.equal(slow.printed.stdout.trim(), "3000");

  await using tailing = spawnPosthaste(["tail"], env);
  await tailing.match(/Watching/);
  tailing.kill("SIGINT");
  assert.deepEqual(await tailing.exited, { code: 130, signal: null });
  assert.equal(tailing.printed.stdout, "");
});

test("on a terminal tables are as wide as it is, with colour; NO_COLOR takes it away", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path);
  const client = createClient({ url: serving.url, apiKey: TEST_KEY });
  await client.endpoints.create({ url: `http://127.0.0.1:9/${"long/".repeat(30)}`, description: "\u001b[31mred" });
  const onTerminal = async (columns: number, settings: string): Promise<string> => {
    const line = `stty cols ${columns}; ${settings} ${POSTHASTE} endpoints list`;
    const env = { POSTHASTE_URL: serving.url, POSTHASTE_API_KEY: TEST_KEY, NO_COLOR: "", TERM: "xterm" };
    await using child = spawnWatched("script", ["-qec", line, "/dev/null"], env);
    await child.exited;
    return child.printed.stdout;
  };
  const coloured = await onTerminal(100, "");
  assert.ok(coloured.includes("\u001b[32mactive\u001b[39m"), coloured);
  const plain = await onTerminal(90, "NO_COLOR=1");
  assert.ok(!plain.includes("\u001b"));
  const lines = plain.split(/\r?\n/).filter((text) => text !== "");
  assert.deepEqual([lines.length, lines[1]?.includes("…")], [2, true]);
  for (const text of lines) assert.ok(text.length <= 90, text);
});

test("gateway and processor are the programs of the npm scripts", async () => {
  for (const name of ["gateway", "processor"]) {
    await using child = spawnPosthaste([name]);
    assert.equal((await child.exited).code, 2);
    assert.match(
      child.printed.stderr,
      new RegExp(`^${name}: REDIS_URL and KAFKA_BROKERS are not set, and the ${name} needs both`),
    );
    await using wrong = spawnPosthaste([name, "--fast"]);
    assert.equal((await wrong.exited).code, 2);
    assert.match(
      wrong.printed.stderr,
      new RegExp(`^posthaste: ${name} does not take --fast; settings are environment`),
    );
  }
});

test("a rate limit is waited for, and a person is told why nothing happens", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({
    tenant: "acme",
    rateLimit: { limit: 1, windowMs: 3000, failureMode: "local" },
  });
  const env = { POSTHASTE_API_KEY: key };
  await runCommand(harness, ["publish", "a.b"], { env });
  const second = runCommand(harness, ["publish", "a.b"], { env });
  await harness.clock.advance(3000);
  const { code, stderr } = await second;
  assert.equal(code, 0);
  assert.match(stderr, /^The gateway asks to wait 3 s \(429\)\.\n/);
});

test("the completion script of each shell is one that it reads", () => {
  for (const shell of ["bash", "zsh"]) {
    const { stdout, status } = spawnSync(process.execPath, [ENTRY, "completion", shell], { encoding: "utf8" });
    assert.equal(status, 0);
    const read = spawnSync(shell, ["-n"], { input: stdout, encoding: "utf8" });
    if (read.error === undefined) assert.deepEqual([read.status, read.stderr], [0, ""], shell);
  }
  const { status, stderr } = spawnSync(process.execPath, [ENTRY, "completion", "fish"], { encoding: "utf8" });
  assert.equal(status, 2);
  assert.match(stderr, /^posthaste: completion knows bash and zsh\n/);
});

/** Two programs never share a port: the second says which one is taken and what chooses another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Listening } from "@posthaste/shared/drivers/http/server/serve.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { RECEIVER_PORT } from "posthaste/receiver-behaviour.ts";
import { startProgram } from "posthaste/program.ts";
import { freePort } from "../support/services/free-ports.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness, prefixEnv, storesEnv } from "./distributed-harness.ts";
import { openFolder, spawnPosthaste, startServe, TEST_KEY } from "./posthaste-child.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
const serving = { clock: systemClock, connectionsMax: 16, fetch: (): Response => new Response(null, { status: 204 }) };

for (const host of ["127.0.0.1", "0.0.0.0", "::", "localhost"]) {
  test(`a port that this machine listens on at 127.0.0.1 is refused on ${host}, too`, async () => {
    const first = await serveHttp({ host: "127.0.0.1", port: 0, portSetting: "PORT", ...serving });
    try {
      const { port } = first;
      await assert.rejects(serveHttp({ host, port, portSetting: "SOME_PORT", ...serving }), {
        name: "CannotListen",
        isPortBusy: true,
        message: new RegExp(`port ${port} is in use by another program.*SOME_PORT`),
      });
    } finally {
      await first.kill();
    }
  });
}

test("an address that is not this machine's is named with HOST", async () => {
  const serving192 = serveHttp({ host: "192.0.2.1", port: 0, portSetting: "PORT", ...serving });
  await assert.rejects(serving192, {
    name: "CannotListen",
    isPortBusy: false,
    message: /192\.0\.2\.1 is no address.*HOST/,
  });
});

for (const command of ["serve", "dev"]) {
  test(`a second Posthaste on the port of the first is refused: ${command}`, async () => {
    using folder = openFolder();
    using other = openFolder();
    await using first = await startServe(folder.path);
    const { port } = new URL(first.url);
    await using second = spawnPosthaste([command], {
      PORT: port,
      POSTHASTE_DATA: other.path,
      POSTHASTE_OPERATOR_KEY: TEST_KEY,
    });
    assert.deepEqual(await second.exited, { code: 1, signal: null });
    assert.match(
      second.printed.stderr,
      new RegExp(
        `^posthaste: cannot listen on 127\\.0\\.0\\.1:${port} since port ${port} is in use .* with PORT \\(.*\\n$`,
      ),
    );
    assert.equal((await fetch(`${first.url}/readyz`)).status, 200);
  });
}

test("a receiver on the port of another is refused, and --port is named", async () => {
  const port = String(await freePort());
  const words = ["receiver", "--secret", SECRET, "--port", port];
  await using first = spawnPosthaste(words);
  await first.match(/Receiver {3}http:/);
  await using second = spawnPosthaste(words);
  assert.deepEqual(await second.exited, { code: 1, signal: null });
  assert.match(second.printed.stderr, new RegExp(`port ${port} is in use by another program.*--port`));
  assert.equal(second.printed.stdout, "");
});

/**
 * Dev's receiver of another test may have the port for a while. Null: somebody has had it all the time, which does as well.
 */
async function takeReceiverPort(): Promise<Listening | null> {
  const taken: Listening[] = [];
  const holds = async (): Promise<boolean> => {
    try {
      taken.push(await serveHttp({ host: "127.0.0.1", port: RECEIVER_PORT, portSetting: "PORT", ...serving }));
      return true;
    } catch {
      return false;
    }
  };
  await waitFor({ fact: `port ${RECEIVER_PORT} to be free`, withinMs: 20_000, holds }).catch(() => undefined);
  return taken[0] ?? null;
}

test("dev says when its receiver is not at the usual port, and what that means", async () => {
  using folder = openFolder();
  const squatter = await takeReceiverPort();
  try {
    await using child = spawnPosthaste(["dev"], { PORT: "0", POSTHASTE_DATA: folder.path });
    await child.match(/Ctrl-C stops/);
    assert.match(child.printed.stdout, /^ {13}not on 8081: another program listens there, and gets what is sent/m);
    assert.doesNotMatch(child.printed.stdout, /http:\/\/127\.0\.0\.1:8081/);
  } finally {
    await squatter?.kill();
  }
});

test("a gateway and a processor on a taken port are refused, each naming its setting", async () => {
  const keys = { POSTHASTE_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"), POSTHASTE_OPERATOR_KEY: TEST_KEY };
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env: keys });
  const env = { ...storesEnv(), ...prefixEnv(harness.prefix), ...keys };
  for (const [kind, programs, setting] of [
    ["gateway", harness.gateways, "PORT"],
    ["processor", harness.processors, "PROCESSOR_PORT"],
  ] as const) {
    const { port } = new URL(programs[0]?.url ?? "");
    await assert.rejects(startProgram(kind, { ...env, [setting]: port }), (error: Error) => {
      assert.match(error.message, new RegExp(`port ${port} is in use by another program.* with ${setting} \\(`));
      return true;
    });
  }
});

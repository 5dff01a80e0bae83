/** `posthaste receiver --register`: makes its own endpoint at a gateway. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { freePort } from "../support/services/free-ports.ts";
import { TEST_KEY, call, openFolder, spawnPosthaste, startServe } from "./posthaste-child.ts";

const KEYED = { POSTHASTE_OPERATOR_KEY: TEST_KEY };

async function refused(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using child = spawnPosthaste(["receiver", ...words], env);
  const { code } = await child.exited;
  return { code, stderr: child.printed.stderr };
}

for (const [words, says] of [
  [["--register", "gateway:8080"], "--register must be the URL of a gateway"],
  [["--register", "http://127.0.0.1:1"], "--own-url must be the URL at which the receiver is reached"],
  [["--own-url", "http://127.0.0.1:1/"], "--register must be the URL of a gateway"],
] as const) {
  test(`receiver ${words.join(" ")}: says what is missing`, async () => {
    const { code, stderr } = await refused(words, KEYED);
    assert.equal(code, 2);
    assert.ok(stderr.startsWith(`posthaste: ${says}`), stderr);
  });
}

test("without the key that makes endpoints, receiver says how to give it", async () => {
  const { code, stderr } = await refused(["--register", "http://127.0.0.1:1", "--own-url", "http://a/"]);
  assert.equal(code, 2);
  assert.match(stderr, /POSTHASTE_OPERATOR_KEY is missing/);
});

test("receiver makes its endpoint once, and verifies what comes for it, also after a restart", async () => {
  using folder = openFolder();
  await using serve = await startServe(folder.path, { POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8" });
  const port = await freePort();
  const ownUrl = `http://127.0.0.1:${port}/in`;
  const words = ["receiver", "--port", String(port), "--register", serve.url, "--own-url", ownUrl];
  for (const type of ["first.come", "second.come"]) {
    await using child = spawnPosthaste(words, KEYED);
    await child.match(/Endpoint {3}ep_\S+ at /);
    assert.equal((await call(serve.url, "/v1/events", { type, data: 1, priority: "HIGH" })).status, 202);
    await child.match(new RegExp(`${type} .*signature verified`));
    child.kill("SIGTERM");
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  }
  const { body } = await call(serve.url, "/v1/endpoints");
  const urls = (body["data"] as readonly { readonly url: string }[]).map(({ url }) => url);
  assert.deepEqual(urls, [ownUrl]);
});

test("receiver waits for a gateway that is not there yet, and can be stopped meanwhile", async () => {
  await using child = spawnPosthaste(
    ["receiver", "--port", "0", "--register", `http://127.0.0.1:${await freePort()}`, "--own-url", "http://a/"],
    KEYED,
  );
  await child.match(/Receiver {3}http/);
  child.kill("SIGTERM");
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test("receiver says why the gateway refuses its endpoint, and ends", async () => {
  using folder = openFolder();
  await using serve = await startServe(folder.path, { POSTHASTE_ALLOW_CIDRS: "10.9.9.0/24" });
  const { code, stderr } = await refused(
    ["--port", "0", "--register", serve.url, "--own-url", "http://127.0.0.1:9/"],
    KEYED,
  );
  assert.equal(code, 1);
  assert.match(stderr, /^posthaste: http:\S+ answered 422: /);
});

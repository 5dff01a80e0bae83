import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { openNameServer } from "../support/name-server.ts";
import { openReceiver } from "../support/receiver.ts";
import type { Serving } from "./posthaste-child.ts";
import { call, openFolder, spawnPosthaste, startServe, TEST_KEY } from "./posthaste-child.ts";

/** A receiver that answers when it is told to, and counts what came by `webhook-id`. */
async function openPatientReceiver() {
  const ids: string[] = [];
  const held: ServerResponse[] = [];
  let waiting: (() => void)[] = [];
  let isHolding = true;
  const receiver = await openReceiver((request, response) => {
    ids.push(String(request.headers["webhook-id"]));
    if (isHolding) held.push(response);
    else response.writeHead(200).end();
    for (const wake of waiting) wake();
    waiting = [];
  });
  return {
    ids,
    url: receiver.url,
    /** Resolves once `count` deliveries have come. */
    async arrived(count: number): Promise<void> {
      while (ids.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    letGo(): void {
      isHolding = false;
      for (const response of held.splice(0)) response.writeHead(200).end();
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

async function publish(serving: Serving, type: string): Promise<string> {
  const { status, body } = await call(serving.url, "/v1/events", { type, data: { type }, priority: "HIGH" });
  assert.equal(status, 202, JSON.stringify(body));
  return String(body["id"]);
}

async function createEndpoint(serving: Serving, url: string): Promise<void> {
  const { status, body } = await call(serving.url, "/v1/endpoints", { url });
  assert.equal(status, 201, JSON.stringify(body));
}

test("the first start of serve shows a new operator key once, which works from then on", async () => {
  using folder = openFolder();
  const env = { PORT: "0", POSTHASTE_DATA: folder.path };
  let key = "";
  {
    await using first = spawnPosthaste(["serve"], env);
    [, key = ""] = await first.match(/shown this once and kept as a hash only: (phk_\S+)\n/);
    const [, url = ""] = await first.match(/"event":"server\.listening","url":"([^"]+)"/);
    assert.equal((await call(url, "/v1/endpoints", undefined, key)).status, 200);
    assert.ok(!first.printed.stdout.includes(key), "the key is not in the logs");
  }
  await using second = spawnPosthaste(["serve"], env);
  const [, url = ""] = await second.match(/"event":"server\.listening","url":"([^"]+)"/);
  assert.equal((await call(url, "/v1/endpoints", undefined, key)).status, 200);
  assert.equal(second.printed.stderr, "");
});

test("a setting that is none is named on stderr with the one that was meant, and the start goes on", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path, { POSTHASTE_ALOW_CIDRS: "10.0.0.0/8" });
  assert.equal(
    serving.printed.stderr,
    "posthaste: POSTHASTE_ALOW_CIDRS is no setting and has no effect; did you mean POSTHASTE_ALLOW_CIDRS?\n",
  );
});

test("a changed POSTHASTE_OPERATOR_KEY ends the old one", async () => {
  using folder = openFolder();
  {
    await using before = await startServe(folder.path);
    assert.equal((await call(before.url, "/v1/endpoints")).status, 200);
  }
  const next = "another-operator-key-of-the-tests";
  await using after = await startServe(folder.path, { POSTHASTE_OPERATOR_KEY: next });
  assert.equal((await call(after.url, "/v1/endpoints", undefined, next)).status, 200);
  assert.equal((await call(after.url, "/v1/endpoints", undefined, TEST_KEY)).body["code"], "key-revoked");
});

for (const client of ["runtime", "undici"]) {
  test(`a name that only the server of the settings knows is delivered to beside silent ones, and one SIGTERM ends it: ${client}`, async () => {
    using folder = openFolder();
    await using receiver = await openPatientReceiver();
    receiver.letGo();
    await using names = await openNameServer((name, type) => {
      if (name.startsWith("silent")) return null;
      return type === "A" ? { addresses: ["127.0.0.1"] } : {};
    });
    const settings = { POSTHASTE_NAME_SERVERS: names.address, POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8" };
    await using serving = await startServe(folder.path, { ...settings, POSTHASTE_HTTP_CLIENT: client });
    const known = new URL(receiver.url);
    known.hostname = "hooks.known.test";
    await createEndpoint(serving, known.href);
    // Each waits five seconds for its look-up.
    await Promise.all([0, 1, 2, 3].map((index) => createEndpoint(serving, `http://silent${index}.test/`)));
    const id = await publish(serving, "order.paid");
    await receiver.arrived(1);
    assert.deepEqual(receiver.ids, [id]);
    serving.kill("SIGTERM");
    assert.deepEqual(await serving.exited, { code: 0, signal: null });
  });
}

test("serve calls no loopback address unless the settings allow it", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path, { POSTHASTE_ALLOW_CIDRS: "" });
  const { status, body } = await call(serving.url, "/v1/endpoints", { url: "http://127.0.0.1:9/" });
  assert.equal(status, 422);
  assert.equal(body["code"], "forbidden-address");
});

test("a second process on the same folder ends with 1 and a remedy, and the first goes on", async () => {
  using folder = openFolder();
  await using first = await startServe(folder.path);
  await using second = spawnPosthaste(["serve"], { PORT: "0", POSTHASTE_DATA: folder.path });
  assert.deepEqual(await second.exited, { code: 1, signal: null });
  const lines = second.printed.stderr.trimEnd().split("\n");
  assert.equal(lines.length, 1, second.printed.stderr);
  assert.match(lines[0] ?? "", /^posthaste: The data folder .* is in use by another Posthaste process\. /);
  assert.ok(lines[0]?.includes(folder.path));
  assert.equal((await fetch(`${first.url}/readyz`)).status, 200);
});

test("a port that is taken ends with 1 and names the port and the remedy", async () => {
  using folder = openFolder();
  const squatter = createServer();
  await new Promise<void>((resolve) => {
    squatter.listen(0, "127.0.0.1", resolve);
  });
  const { port } = squatter.address() as AddressInfo;
  await using child = spawnPosthaste(["dev"], { PORT: String(port), POSTHASTE_DATA: folder.path });
  assert.deepEqual(await child.exited, { code: 1, signal: null });
  assert.match(child.printed.stderr, new RegExp(`^posthaste: cannot listen on 127\\.0\\.0\\.1:${port} .*PORT.*\\n$`));
  squatter.close();
});

for (const [why, place] of [
  ["a port that is taken", {}],
  ["a HOST that is no address of this machine", { HOST: "192.0.2.1" }],
] as const) {
  for (const command of ["serve", "dev"]) {
    test(`${command} with ${why} prints the reason alone, no key and no screen, and the next start shows a key that works`, async () => {
      using folder = openFolder();
      const squatter = createServer();
      await new Promise<void>((resolve) => {
        squatter.listen(0, "127.0.0.1", resolve);
      });
      const { port } = squatter.address() as AddressInfo;
      await using failing = spawnPosthaste([command], { PORT: String(port), POSTHASTE_DATA: folder.path, ...place });
      assert.deepEqual(await failing.exited, { code: 1, signal: null });
      assert.match(failing.printed.stderr, /^posthaste: cannot listen on .*\n$/);
      assert.equal(failing.printed.stdout, "");
      squatter.close();
      await using next = spawnPosthaste(["serve"], { PORT: "0", POSTHASTE_DATA: folder.path });
      const [, url = ""] = await next.match(/"event":"server\.listening","url":"([^"]+)"/);
      // Dev keeps its key in a file, also when it did not get so far as to listen.
      const [, key = ""] = await next.match(/shown this once and kept as a hash only: (phk_\S+)\n/);
      assert.equal((await call(url, "/v1/endpoints", undefined, key)).status, 200);
    });
  }
}

test("SIGTERM lets the attempt in flight end, exits 0, and nothing is delivered twice", async () => {
  using folder = openFolder();
  await using receiver = await openPatientReceiver();
  let id = "";
  {
    await using serving = await startServe(folder.path);
    await createEndpoint(serving, receiver.url);
    id = await publish(serving, "order.paid");
    await receiver.arrived(1);
    serving.kill("SIGTERM");
    await serving.match(/"event":"server\.stopping"/);
    receiver.letGo();
    assert.deepEqual(await serving.exited, { code: 0, signal: null });
    await serving.match(/"event":"server\.stopped"/);
  }
  await using again = await startServe(folder.path);
  const later = await publish(again, "order.late");
  await receiver.arrived(2);
  assert.deepEqual(receiver.ids, [id, later]);
  const { body } = await call(again.url, `/v1/events/${id}`);
  assert.match(JSON.stringify(body), /"state":"delivered"/);
});

test("a second signal ends at once with 1, and the next start delivers what was cut off", async () => {
  using folder = openFolder();
  await using receiver = await openPatientReceiver();
  let id = "";
  {
    await using serving = await startServe(folder.path);
    await createEndpoint(serving, receiver.url);
    id = await publish(serving, "order.paid");
    await receiver.arrived(1);
    serving.kill("SIGTERM");
    await serving.match(/"event":"server\.stopping"/);
    serving.kill("SIGINT");
    assert.deepEqual(await serving.exited, { code: 1, signal: null });
  }
  receiver.letGo();
  await using again = await startServe(folder.path);
  await receiver.arrived(2);
  assert.equal((await fetch(`${again.url}/readyz`)).status, 200);
  assert.deepEqual(receiver.ids, [id, id]);
});

test("after SIGKILL the folder opens again, and the accepted event is delivered under the same id", async () => {
  using folder = openFolder();
  await using receiver = await openPatientReceiver();
  let id = "";
  {
    await using serving = await startServe(folder.path);
    await createEndpoint(serving, receiver.url);
    id = await publish(serving, "order.paid");
    await receiver.arrived(1);
    serving.kill("SIGKILL");
    assert.deepEqual(await serving.exited, { code: null, signal: "SIGKILL" });
  }
  receiver.letGo();
  await using again = await startServe(folder.path);
  await receiver.arrived(2);
  assert.equal((await fetch(`${again.url}/readyz`)).status, 200);
  assert.deepEqual(receiver.ids, [id, id]);
});

test("a folder that lost its master key is refused with the ways out", async () => {
  using folder = openFolder();
  {
    await using serving = await startServe(folder.path);
    serving.kill("SIGTERM");
    await serving.exited;
  }
  rmSync(join(folder.path, "master.key"));
  await using child = spawnPosthaste(["serve"], { PORT: "0", POSTHASTE_DATA: folder.path });
  assert.deepEqual(await child.exited, { code: 1, signal: null });
  assert.match(child.printed.stderr, /^posthaste: .*master\.key is missing.* POSTHASTE_MASTER_KEY .*\n$/);
});

test("a key that does not open the endpoint secrets ends with 1, names where the key is from, and the remedy", async () => {
  using folder = openFolder();
  const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
  {
    await using serving = await startServe(folder.path, { POSTHASTE_MASTER_KEY: key(1) });
    await createEndpoint(serving, "http://127.0.0.1:9/");
  }
  const file = join(folder.path, "master.key");
  writeFileSync(file, key(2), { mode: 0o600 });
  const env = { PORT: "0", POSTHASTE_DATA: folder.path };
  await using byFile = spawnPosthaste(["serve"], env);
  assert.deepEqual(await byFile.exited, { code: 1, signal: null });
  assert.match(
    byFile.printed.stderr,
    /^posthaste: .*master\.key does not hold the key .* set POSTHASTE_MASTER_KEY .*\n$/,
  );
  await using bySetting = spawnPosthaste(["serve"], { ...env, POSTHASTE_MASTER_KEY: key(3) });
  assert.deepEqual(await bySetting.exited, { code: 1, signal: null });
  assert.match(bySetting.printed.stderr, /^posthaste: POSTHASTE_MASTER_KEY is not the key .* Set it to the key .*\n$/);
});

/** `posthaste listen` and `tail` as processes of their own, beside a real serve that is stopped and killed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@posthaste/client/public.ts";
import { Webhook } from "standardwebhooks";
import type { Child, Serving } from "../e2e/posthaste-child.ts";
import { openFolder, spawnPosthaste, startServe, TEST_KEY } from "../e2e/posthaste-child.ts";
import { openReceiver } from "../support/receiver.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

const EVENTS = 1000;

/** What came on each path, verified with the reference library where it is signed with `SECRET`. */
async function openHook() {
  const bodies = new Map<string, Buffer>();
  const delivered = new Map<string, Buffer>();
  const order: string[] = [];
  let status = 204;
  const all = Promise.withResolvers<void>();
  const receiver = await openReceiver((request, response, body) => {
    const id = String(request.headers["webhook-id"]);
    const isDelivery = request.url?.endsWith("/endpoint") === true;
    if (isDelivery) {
      delivered.set(id, body);
      if (delivered.size === EVENTS) all.resolve();
    } else {
      new Webhook(SECRET).verify(body, request.headers as Record<string, string>);
      order.push(id);
      bodies.set(id, body);
    }
    response.writeHead(isDelivery ? 204 : status).end();
  });
  return {
    bodies,
    delivered,
    /** Every event has come to the endpoint. */
    allDelivered: all.promise,
    order,
    url: receiver.url,
    answer: (next: number) => void (status = next),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

function spawnCall(url: string, ...words: readonly string[]): Child {
  return spawnPosthaste(words, { POSTHASTE_URL: url, POSTHASTE_API_KEY: TEST_KEY });
}

function linesOf({ printed }: Child): number {
  return printed.stdout.split("\n").filter((line) => / {2}204 {2}\d+ ms$/.test(line)).length;
}

async function publishIds(url: string, from: number, count: number): Promise<readonly string[]> {
  const client = createClient({ url, apiKey: TEST_KEY });
  const numbers = Array.from({ length: count }, (_, at) => from + at);
  const { results } = await client.publishBatch(
    numbers.map((n) => ({ json: `{"type":"order.paid","data":{"n":${n}.50},"id":"e-${n}"}` })),
  );
  return results.map((result) => ("id" in result ? result.id : "refused"));
}

async function restart(serving: Serving, folder: string, signal: NodeJS.Signals, between: () => Promise<unknown>) {
  serving.kill(signal);
  await serving.exited;
  await between();
  return await startServe(folder, { PORT: new URL(serving.url).port });
}

test("1,000 events are forwarded once, in order, signed and byte for byte, over a stop and a kill of the gateway", async () => {
  using folder = openFolder();
  await using hook = await openHook();
  let serving = await startServe(folder.path);
  try {
    const { url } = serving;
    const client = createClient({ url, apiKey: TEST_KEY });
    await client.endpoints.create({ url: `${hook.url}/endpoint` });
    const words = ["listen", "--forward", hook.url, "--secret", SECRET];
    await using listening = spawnCall(url, ...words);
    await listening.match(/Secret {6}whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=\n/);
    const published = [...(await publishIds(url, 0, 300))];
    await listening.match(/e-299 {2}204/);
    for (const [signal, from] of [
      ["SIGTERM", 300],
      ["SIGKILL", 600],
    ] as const) {
      const lost = new RegExp(`(?:session with the gateway is lost[^]*){${from / 300}}`);
      serving = await restart(serving, folder.path, signal, () => listening.match(lost));
      // Some of these are accepted before the session is back.
      published.push(...(await publishIds(url, from, 150)));
      await listening.match(new RegExp(`(?:Back after[^]*){${from / 300}}`));
      published.push(...(await publishIds(url, from + 150, 150)));
      await listening.match(new RegExp(`e-${from + 299} {2}204`));
    }
    published.push(...(await publishIds(url, 900, 100)));
    await listening.match(/e-999 {2}204/);
    assert.deepEqual(hook.order, published);
    assert.equal(linesOf(listening), EVENTS);
    assert.match(
      listening.printed.stderr,
      /Back after \d+ (?:s|min); .*event.*(?:missed|accepted meanwhile and come now)\./,
    );
    await hook.allDelivered;
    for (const [id, body] of hook.delivered) assert.deepEqual(hook.bodies.get(id), body);
    listening.kill("SIGINT");
    assert.deepEqual(await listening.exited, { code: 130, signal: null });
    assert.ok(!/\bat .*\.ts:\d+/.test(listening.printed.stderr), listening.printed.stderr);
  } finally {
    await serving[Symbol.asyncDispose]();
  }
});

test("--since begins with what was accepted before, --type leaves out others, and JSON is one line for each", async () => {
  using folder = openFolder();
  await using hook = await openHook();
  await using serving = await startServe(folder.path);
  const client = createClient({ url: serving.url, apiKey: TEST_KEY });
  await publishIds(serving.url, 0, 3);
  await client.publish({ type: "invoice.paid", data: null, id: "other" });
  const words = ["--secret", SECRET, "--since", "5m", "--type", "order.*", "--json"];
  await using listening = spawnCall(serving.url, "listen", "--forward", hook.url, ...words);
  await listening.match(/"id":"e-2"/);
  const rows = listening.printed.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    rows.map(({ event, id }) => [event, id]),
    [
      ["listening", undefined],
      ["earlier", undefined],
      ["forwarded", "e-0"],
      ["forwarded", "e-1"],
      ["forwarded", "e-2"],
    ],
  );
  assert.deepEqual([rows[0]?.["secret"], rows[1]?.["events"], rows[2]?.["status"]], [SECRET, 3, 204]);
});

test("what the program answers is shown, nothing that listens too, and the next event is forwarded all the same", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path);
  await using hook = await openHook();
  hook.answer(500);
  await using listening = spawnCall(serving.url, "listen", "--forward", hook.url, "--secret", SECRET);
  await listening.match(/Secret/);
  await publishIds(serving.url, 0, 1);
  await listening.match(/order\.paid {2}e-0 {2}500 {2}\d+ ms/);
  await using nobody = spawnCall(serving.url, "listen", "--forward", "http://127.0.0.1:9/hook");
  await nobody.match(/Secret {6}whsec_\S{44}\n/);
  await publishIds(serving.url, 1, 2);
  await nobody.match(/e-1 {2}nothing listens there {2}\d+ ms\n.*e-2 {2}nothing listens there/);
});

test("a key that is revoked ends it with 1, and says so", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path);
  const { apiKeys } = createClient({ url: serving.url, apiKey: TEST_KEY });
  const { id, key } = await apiKeys.create({ name: "listener", scopes: ["read"] });
  const env = { POSTHASTE_URL: serving.url, POSTHASTE_API_KEY: key };
  await using listening = spawnPosthaste(["listen", "--forward", "http://127.0.0.1:9/"], env);
  await listening.match(/Secret/);
  await apiKeys.revoke(id);
  assert.deepEqual(await listening.exited, { code: 1, signal: null });
  assert.match(listening.printed.stderr, /lost[^]*\(401 key-revoked from /);
});

test("tail shows what is accepted and attempted, goes on after a restart, and ends quietly when its reader does", async () => {
  using folder = openFolder();
  await using hook = await openHook();
  let serving = await startServe(folder.path);
  try {
    const { url } = serving;
    await createClient({ url, apiKey: TEST_KEY }).endpoints.create({ url: `${hook.url}/endpoint` });
    await using watching = spawnCall(url, "tail");
    await watching.match(/Watching http/);
    await using program = spawnCall(url, "tail", "--json");
    await program.match(/^\{"event":"watching","data":\{"at":"[^"]+"\}\}\n/);
    await publishIds(url, 0, 1);
    await watching.match(/accepted +order\.paid +e-0 +medium +\d+ bytes\n/);
    await watching.match(/delivered +order\.paid +e-0 +ep_\w+ +attempt 1 +204 +\d+ ms\n/);
    serving = await restart(serving, folder.path, "SIGTERM", () => watching.match(/session with the gateway is lost/));
    await watching.match(/Back after/);
    await program.match(
      /\{"event":"session-lost","why":"[^"]+"\}\n\{"event":"session-back","after_ms":\d+,"at":"[^"]+"\}\n/,
    );
    await publishIds(url, 1, 1);
    await watching.match(/accepted +order\.paid +e-1/);
    watching.kill("SIGINT");
    assert.equal((await watching.exited).code, 130);
  } finally {
    await serving[Symbol.asyncDispose]();
  }
});

test("without a gateway it ends with 1 and says what to start", async () => {
  const { exited, printed } = spawnCall("http://127.0.0.1:9", "listen", "--forward", "http://127.0.0.1:9/");
  assert.deepEqual(await exited, { code: 1, signal: null });
  assert.match(printed.stderr, /^Nothing listens at http:\/\/127\.0\.0\.1:9\.\nStart it there/);
});

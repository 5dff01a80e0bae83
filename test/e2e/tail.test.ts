/** The live tail of both sets, read by a client library over real connections: what it shows, and how it ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventSource } from "eventsource";
import { openReceiver } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { call, openFolder, startServe, TEST_KEY } from "./posthaste-child.ts";

interface Running extends AsyncDisposable {
  /** Where events are published, and where they are watched: with several processes, another one. */
  readonly publishedAt: string;
  readonly watchedAt: string;
  readonly operatorKey: string;
  /** SIGTERM to whoever is watched; resolves with its exit code. */
  end(): Promise<number | null>;
}

async function startEmbedded(): Promise<Running> {
  const folder = openFolder();
  const serving = await startServe(folder.path, { POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8" });
  return {
    publishedAt: serving.url,
    watchedAt: serving.url,
    operatorKey: TEST_KEY,
    async end() {
      serving.kill("SIGTERM");
      return (await serving.exited).code;
    },
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

async function startDistributed(): Promise<Running> {
  const harness = await openDistributedHarness({ gateways: 2, processors: 1 });
  const [publishedAt, watched] = harness.gateways;
  assert.ok(publishedAt !== undefined && watched !== undefined);
  return {
    publishedAt: publishedAt.url,
    watchedAt: watched.url,
    operatorKey: harness.operatorKey,
    end: async () => (await watched.end("SIGTERM")).code,
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

const NAMES = ["accepted", "attempt", "delivery", "lost", "end"] as const;

interface Shown {
  readonly event: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function watch(url: string, key: string) {
  const shown: Shown[] = [];
  let isOpen = false;
  const source = new EventSource(url, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } }),
  });
  source.addEventListener("open", () => (isOpen = true));
  for (const name of NAMES) {
    source.addEventListener(name, ({ data, lastEventId: id }) => {
      shown.push({ event: name, id, data: JSON.parse(String(data)) as Shown["data"] });
      if (name === "end") source.close();
    });
  }
  return {
    shown,
    opened: () => waitFor({ fact: "the stream to begin", withinMs: 20_000, holds: () => isOpen }),
    until: (fact: string, isSo: (one: Shown) => boolean) =>
      waitFor({ fact, withinMs: 30_000, holds: () => shown.some(isSo) }),
    [Symbol.dispose]: () => source.close(),
  };
}

async function create(running: Running, path: string, body: object): Promise<Readonly<Record<string, unknown>>> {
  const answer = await call(running.publishedAt, path, body, running.operatorKey);
  assert.ok(answer.status === 201 || answer.status === 202, JSON.stringify(answer.body));
  return answer.body;
}

/** Who publishes learns a moment later that somebody watches: probes are sent until one is shown. */
async function untilWatched(running: Running, shown: readonly Shown[]): Promise<void> {
  await waitFor({
    fact: "an event to be shown",
    withinMs: 30_000,
    async holds() {
      await create(running, "/v1/events", { type: "tail.probe", data: null });
      return shown.length > 0;
    },
  });
}

/** What is recorded of it, asked of the other gateway where there are two. */
async function assertReceipt({ watchedAt, operatorKey }: Running, id: string, endpoint: string): Promise<void> {
  const ask = async (path: string) => (await call(watchedAt, path, undefined, operatorKey)).body;
  let event = await ask(`/v1/events/${id}`);
  await waitFor({
    fact: "the event to show as delivered",
    withinMs: 20_000,
    holds: async () => (event = await ask(`/v1/events/${id}`))["state"] === "delivered",
  });
  const [delivery] = event["deliveries"] as { times: Record<string, number>; waiting: unknown }[];
  assert.deepEqual([event["waiting"], delivery?.waiting], [null, null]);
  const names = ["lane_ms", "limiter_ms", "deferred_ms", "retry_ms", "attempts_ms"];
  assert.deepEqual(Object.keys(delivery?.times ?? {}), names);
  const { decisions } = await ask(`/v1/events/${id}/why?endpoint=${endpoint}`);
  assert.deepEqual(
    (decisions as { on: string; code: string }[]).map(({ on, code }) => `${on} ${code}`),
    [
      "event accepted",
      "match matched",
      "endpoint active",
      "limit unlimited",
      "breaker not-open",
      "retry not-needed",
      "outcome delivered",
    ],
  );
}

for (const [name, start] of [
  ["embedded", startEmbedded],
  ["distributed", startDistributed],
] as const) {
  test(`${name}: a client library sees an event accepted, an attempt fail and the next one deliver, in order, and the receipt says the same`, async () => {
    let requests = 0;
    await using receiver = await openReceiver((_request, response) => {
      requests += 1;
      response.writeHead(requests === 1 ? 500 : 200).end();
    });
    await using running = await start();
    const retry = { delays_s: [0, 0.05] };
    const endpoint = await create(running, "/v1/endpoints", { url: receiver.url, event_types: ["tail.seen"], retry });
    using watching = watch(`${running.watchedAt}/v1/tail?type=tail.*`, running.operatorKey);
    await untilWatched(running, watching.shown);
    const event = { type: "tail.seen", data: 1, priority: "HIGH" };
    const id = String((await create(running, "/v1/events", event))["id"]);
    await create(running, "/v1/events", { type: "other", data: 1 });
    await watching.until("the delivery", ({ data }) => data["event_id"] === id && data["outcome"] === "delivered");
    // Gateway and processor tell in an order of their own each.
    const seen = watching.shown
      .filter(({ data }) => data["id"] === id || data["event_id"] === id)
      .toSorted((one, other) => Number(other.event === "accepted") - Number(one.event === "accepted"));
    const attempt = (nth: number) => `${id}/${String(endpoint["id"])}/0/${nth}`;
    assert.deepEqual(
      seen.map(({ event: what, id: named, data }) => [what, named, data["lane"], data["status"], data["outcome"]]),
      [
        ["accepted", id, "high", undefined, undefined],
        ["attempt", attempt(1), "high", 500, "retry"],
        ["attempt", attempt(2), "high", 200, "delivered"],
      ],
    );
    assert.deepEqual(
      watching.shown.filter(({ data }) => data["type"] === "other"),
      [],
    );
    await assertReceipt(running, id, String(endpoint["id"]));
  });

  test(`${name}: a stream ends when its key is revoked, and the other when the server stops, which does not wait for it`, async () => {
    await using running = await start();
    const key = await create(running, "/v1/api-keys", { name: "reader", tenant: "acme", scopes: ["read"] });
    using ofTenant = watch(`${running.watchedAt}/v1/tail`, String(key["key"]));
    using ofOperator = watch(`${running.watchedAt}/v1/tail?tenant=*`, running.operatorKey);
    await Promise.all([ofTenant.opened(), ofOperator.opened()]);
    const headers = { authorization: `Bearer ${running.operatorKey}` };
    const at = `${running.publishedAt}/v1/api-keys/${String(key["id"])}?tenant=acme`;
    assert.equal((await fetch(at, { method: "DELETE", headers })).status, 204);
    await ofTenant.until("its end", ({ event }) => event === "end");
    assert.equal(ofTenant.shown.at(-1)?.data["code"], "key-revoked");
    assert.equal(ofOperator.shown.length, 0);
    assert.equal(await running.end(), 0);
    await ofOperator.until("its end", ({ event }) => event === "end");
    assert.equal(ofOperator.shown.at(-1)?.data["code"], "stopping");
  });
}

/** API keys, an endpoint's history, events as text and the live tail, against the real gateway on the embedded drivers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, NoAnswerError, ProblemError } from "@posthaste/client/public.ts";
import type { Client, ClientOptions, TailEntry } from "@posthaste/client/public.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";

function clientOf({ gateway, clock, operatorKey }: GatewayHarness, options: Partial<ClientOptions> = {}): Client {
  const fetch = (url: string, init: RequestInit): Promise<Response> => gateway.fetch(new Request(url, init));
  return createClient({ url: "http://localhost", apiKey: operatorKey, fetch, clock, ...options });
}

test("API keys: made, listed without the key itself, revoked", async () => {
  await using harness = await openGatewayHarness();
  const { apiKeys } = clientOf(harness, { tenant: "acme" });
  const made = await apiKeys.create({ name: "shop", scopes: ["read"], rate_limit: { limit: 5, window_ms: 1000 } });
  assert.match(made.key, /^phk_/);
  const { key: _key, ...shown } = made;
  assert.deepEqual((await apiKeys.list()).data, [shown]);
  assert.deepEqual([shown.tenant, shown.scopes, shown.rate_limit?.limit], ["acme", ["read"], 5]);
  await apiKeys.revoke(made.id);
  assert.equal((await apiKeys.list()).data[0]?.status, "revoked");
});

test("an endpoint's attempts and counts are listed, filtered by outcome", async () => {
  await using harness = await openGatewayHarness();
  const { endpoints } = clientOf(harness);
  const { id } = await endpoints.create({ url: "https://example.com/hooks" });
  assert.deepEqual((await endpoints.attempts(id, { outcome: "failed", result: "5xx", limit: 5 })).data, []);
  assert.equal((await endpoints.stats(id)).attempts, 0);
});

test("an event that is given as text keeps its digits, alone and in a batch, and is shown as the same text", async () => {
  await using harness = await openGatewayHarness();
  const client = clientOf(harness);
  const event = { json: '{"type":"a.b","data":{"total":12.50,"id":12345678901234567890}}' };
  const { id } = await client.publish(event);
  const { results } = await client.publishBatch([event, { type: "c", data: 1 }]);
  const [first] = results;
  assert.ok(first !== undefined && "id" in first);
  assert.equal("data" in (await client.events.get(id, { include: [] })), false);
  for (const shown of [id, first.id]) {
    const text = await client.events.getText(shown, { include: ["data"] });
    assert.ok(text.endsWith('"data":{"total":12.50,"id":12345678901234567890}}'), text);
  }
});

test("the tail begins with `watching`, shows what is accepted, and ends when the gateway stops", async () => {
  await using harness = await openGatewayHarness();
  const client = clientOf(harness);
  const seen: TailEntry[] = [];
  const begun = Promise.withResolvers<undefined>();
  const watch = async (): Promise<void> => {
    for await (const entry of client.tail({ type: "invoice.*" })) {
      seen.push(entry);
      begun.resolve(undefined);
    }
  };
  const watching = watch();
  await begun.promise;
  await client.publish({ type: "invoice.paid", data: 1, id: "inv-1" });
  await client.publish({ type: "order.paid", data: 1 });
  await harness.clock.advance(100);
  harness.gateway.stop();
  await watching;
  assert.deepEqual(
    seen.map(({ event }) => event),
    ["watching", "accepted", "end"],
  );
  assert.equal(seen[1]?.event === "accepted" ? seen[1].data.id : "", "inv-1");
  assert.equal(seen[2]?.event === "end" ? seen[2].data.code : "", "stopping");
});

test("a tail that is refused is a problem, and one that falls silent or breaks is no answer", async () => {
  await using harness = await openGatewayHarness();
  const { clock } = harness;
  const apiKey = await harness.createKey({ scopes: ["publish"] });
  await assert.rejects(clientOf(harness, { apiKey }).tail().next(), ProblemError);

  let end: () => void = () => undefined;
  const open = (): Promise<Response> =>
    Promise.resolve(new Response(new ReadableStream({ start: (controller) => void (end = () => controller.close()) })));
  const silent = clientOf(harness, { fetch: open }).tail();
  assert.equal((await silent.next()).value?.event, "watching");
  const silence = assert.rejects(silent.next(), NoAnswerError);
  await clock.advance(45_000);
  await silence;
  const broken = clientOf(harness, { fetch: open }).tail();
  await broken.next();
  end();
  await assert.rejects(broken.next(), NoAnswerError);
});

test("a tail that its reader leaves, or whose signal aborts, lets its connection go", async () => {
  await using harness = await openGatewayHarness();
  const signals: AbortSignal[] = [];
  const fetch = (url: string, init: RequestInit): Promise<Response> => {
    if (init.signal) signals.push(init.signal);
    return harness.gateway.fetch(new Request(url, init));
  };
  const client = clientOf(harness, { fetch });
  for await (const { event } of client.tail()) if (event === "watching") break;
  const stopping = new AbortController();
  const stopped = client.tail({}, { signal: stopping.signal });
  await stopped.next();
  const next = assert.rejects(stopped.next(), /enough/);
  stopping.abort(new Error("enough"));
  await next;
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, true],
  );
});

/** What the page of an event says of each request that was made for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import { DashboardClient } from "../support/dashboard-client.ts";
import { openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const HOSTILE = `"'><script>alert(1)</script>`;
const DATA = `{"amount":1e400,"n":12.50,"ü":"€ ${HOSTILE.replaceAll('"', '\\"')}","nested":{"a":[1,  2]}}`;

async function open() {
  const harness = await openGatewayHarness();
  const { drivers, clock } = harness;
  const key = await harness.createKey({ tenant: "acme" });
  const settings = {
    url: `https://acme.example/hooks?q=%22<b>`,
    description: `Billing ${HOSTILE}`,
    headers: { "x-token": "s3cret" },
  };
  const endpointId = textAt((await harness.call("POST", "/v1/endpoints", { key, body: settings })).json, "id");
  const body = `{"type":"order.paid","id":"order-1","data":${DATA}}`;
  assert.equal((await harness.call("POST", "/v1/events", { key, body })).status, 202);
  const client = new DashboardClient(harness.gateway);
  await client.signIn(key);
  const attempted = async (
    attempt: number,
    result: AttemptResult,
    groupId: string | null = null,
    parts: Partial<DeliveryRecord> = {},
  ): Promise<void> => {
    const delivery: DeliveryRecord = {
      tenant: "acme",
      eventId: "order-1",
      endpointId,
      generation: 0,
      eventType: "order.paid",
      atMs: clock.now(),
      state: "retrying",
      attempt,
      result,
      groupId,
      nextAttemptAtMs: clock.now() + 60_000,
      reason: "to be retried",
      ...parts,
    };
    drivers.ledger.record([{ kind: "delivery", delivery }]);
    await drivers.flush();
  };
  const page = async (query = "") => await client.visit(`/dashboard/events/order-1${query}`);
  return { harness, key, endpointId, attempted, page };
}

const answered = {
  kind: "answered",
  status: 500,
  durationMs: 250,
  bodyExcerpt: "sorry",
  isBodyCut: false,
  retryAfter: null,
} as const;

function unescaped(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}

test("the body is shown to the byte as it is sent", async () => {
  const { harness, page } = await open();
  await using _ = harness;
  const { text } = await page();
  const shown = /data-copy="the body">([^<]*)</.exec(text)?.[1] ?? "";
  const [envelope] = await harness.takeLane("medium");
  assert.equal(unescaped(shown), new TextDecoder().decode(envelope?.body));
  assert.ok(!text.includes("<script>alert"), "data is no markup");
});

test("each attempt has its request beside its answer, and neither a header's value nor a signature", async () => {
  const { harness, attempted, page } = await open();
  await using _ = harness;
  await harness.clock.advance(10_250);
  await attempted(1, answered);
  const { text, words } = await page();
  const request = unescaped(/<summary>Request<\/summary>\s*<pre[^>]*><code>([^<]*)</.exec(text)?.[1] ?? "").split("\n");
  assert.deepEqual(request.slice(0, 3), [
    "POST https://acme.example/hooks?q=%22%3Cb%3E",
    "x-token: (not shown)",
    "content-type: application/json",
  ]);
  for (const line of [
    "webhook-id: order-1",
    "posthaste-attempt: 1",
    /^webhook-timestamp: .*2026-01-31T12:00:10\.000Z/,
    /^content-length: \d+$/,
  ]) {
    assert.ok(
      request.some((each) => (typeof line === "string" ? each === line : line.test(each))),
      `${request.join("\n")} has ${String(line)}`,
    );
  }
  assert.doesNotMatch(text, /s3cret|v1,[A-Za-z0-9+/]{20}/);
  assert.match(words, /<summary>Request<\/summary>.*<strong>500<\/strong>.*sorry/);
  assert.doesNotMatch(words, /changed since/);
});

test("what is not known of a request is said: one that never left, one of a batch, an endpoint that changed or is gone", async () => {
  const { harness, key, endpointId, attempted, page } = await open();
  await using _ = harness;
  await attempted(1, { kind: "fault", fault: "connect-refused", detail: "no", durationMs: 1 });
  assert.match((await page()).words, /nothing was sent/);
  await attempted(
    2,
    { kind: "fault", fault: "timeout", detail: "late", durationMs: 1 },
    "grp_00000000000000000000000000",
  );
  await harness.clock.advance(1000);
  await harness.call("PATCH", `/v1/endpoints/${endpointId}`, { key, body: { description: "new" } });
  const { words } = await page();
  assert.match(words, /webhook-id: grp_00000000000000000000000000/);
  assert.match(words, /POST \(the URL of then\)/);
  assert.match(
    words,
    /that of the batch, with other events in it\. .*<\/details> <span class="quiet">the endpoint was changed since/,
  );
  assert.doesNotMatch(words, /content-length/);
  await harness.call("DELETE", `/v1/endpoints/${endpointId}`, { key });
  assert.match(
    (await page()).words,
    /POST \(the endpoint is gone\).*Headers of the endpoint&#39;s own are not among these/,
  );
});

test("an answer without a body says so, and so does one of which nothing was read", async () => {
  const { harness, attempted, page } = await open();
  await using _ = harness;
  await attempted(1, { ...answered, bodyExcerpt: "" });
  assert.match((await page()).words, /<strong>500<\/strong>.*no body in the answer/);
  await attempted(1, { ...answered, bodyExcerpt: "", isBodyCut: true });
  assert.match((await page()).words, /nothing of its body was read/);
  await attempted(1, answered);
  assert.doesNotMatch((await page()).words, /no body in the answer|nothing of its body/);
  await attempted(1, { kind: "fault", fault: "timeout", detail: "late", durationMs: 1 });
  assert.doesNotMatch((await page()).words, /no body in the answer|nothing of its body/, "there was no answer");
});

test("a delivery has its endpoint's description beside its URL, as text", async () => {
  const { harness, page } = await open();
  await using _ = harness;
  assert.match(
    (await page()).words,
    /acme\.example\/hooks[^>]*<\/a ?> <span class="quiet">Billing &quot;&#39;&gt;&lt;script/,
  );
});

/** One that died, then two replays, recorded in another order; each with its own answer. */
async function replayed(): Promise<
  Awaited<ReturnType<typeof open>> & { readonly cards: () => Promise<readonly string[]> }
> {
  const opened = await open();
  const { harness, attempted, page } = opened;
  const startMs = harness.clock.now();
  const at = (status: number, generation: number): Parameters<typeof attempted> => {
    const state = status < 300 ? "delivered" : "dead";
    return [
      1,
      { ...answered, status },
      null,
      { generation, state, nextAttemptAtMs: null, reason: `answered ${status}` },
    ];
  };
  await harness.clock.advance(1000);
  await attempted(...at(500, 0));
  await harness.clock.advance(60_000);
  await attempted(...at(204, startMs + 50_000));
  await attempted(...at(503, startMs + 40_000));
  const cards = async (): Promise<readonly string[]> => (await page()).words.split('<div class="card">').slice(1);
  return { ...opened, cards };
}

test("the story of an event that was replayed goes by time", async () => {
  const { harness, cards } = await replayed();
  await using _ = harness;
  const shown = (await cards()).map((card) => [/<h3>(\w+)/.exec(card)?.[1], /<strong>(\d+)<\/strong>/.exec(card)?.[1]]);
  assert.deepEqual(shown, [
    ["Delivery", "500"],
    ["Replay", "503"],
    ["Replay", "204"],
  ]);
});

test("deliveries of one time go by their first attempts, and those without one come last", async () => {
  const { harness, key, attempted, page } = await open();
  await using _ = harness;
  const made = ["late", "early", "none"].map(async (name) => {
    const body = { url: `https://${name}.example/`, description: name };
    return textAt((await harness.call("POST", "/v1/endpoints", { key, body })).json, "id");
  });
  const [late = "", early = "", none = ""] = await Promise.all(made);
  const atMs = harness.clock.now() + 1000;
  await attempted(1, answered, null, { endpointId: early, atMs: atMs + 600 });
  await attempted(1, answered, null, { endpointId: late, atMs: atMs + 900 });
  await attempted(0, answered, null, { endpointId: none, result: null, state: "pending" });
  await harness.clock.advance(5000);
  const { words } = await page();
  const shown = [...words.matchAll(/<h3>Delivery to <a href="[^"]*" >https:\/\/(\w+)/g)].map(([, name]) => name);
  assert.deepEqual(
    shown.filter((name) => name !== "acme"),
    ["early", "late", "none"],
  );
});

test("each sending's Why tells of its own, in its own card, and every button there says replay", async () => {
  const { harness, cards, page } = await replayed();
  await using _ = harness;
  const links = (await cards()).map((card) => unescaped(/href="([^"]*)#why"/.exec(card)?.[1] ?? ""));
  assert.equal(new Set(links).size, 3);
  for (const [index, status] of [500, 503, 204].entries()) {
    const { words } = await page(new URL(links[index] ?? "", "http://a.example").search);
    const told = words
      .split('<div class="card">')
      .slice(1)
      .map((card) => card.includes('id="why"'));
    assert.deepEqual(
      told,
      [0, 1, 2].map((other) => other === index),
      `${status}`,
    );
    assert.match(words.slice(words.indexOf('id="why"')), new RegExp(`the last was answered ${status}`));
  }
  const { words } = await page();
  assert.doesNotMatch(words, /id="why"/, "of none of several, unless it is asked");
  assert.deepEqual(
    [...words.matchAll(/<button class="\w+">([^<]*)/g)]
      .map(([, label]) => label)
      .filter((label) => label !== "Sign out"),
    ["Replay to all", ...Array.from({ length: 3 }, () => "Replay to this endpoint")],
  );
  assert.doesNotMatch(words, /[Ss]end again/);
});

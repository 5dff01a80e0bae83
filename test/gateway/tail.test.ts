/** `GET /v1/tail`: what a reader is shown, what it costs, and how a stream ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HEARD_MAX, HEARTBEAT_MS, KEYS_MS, LINGER_MS, READERS_MAX } from "@posthaste/gateway/tail/readers.ts";
import { UNREAD_BYTES_MAX } from "@posthaste/gateway/tail/reader.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { storeFault } from "@posthaste/shared/domain/errors.ts";
import type { TailEntry } from "@posthaste/shared/ports/tail.ts";
import { acceptedEntry, deliveryEntry } from "@posthaste/shared/ports/tail.ts";
import { assertMatches, DOCUMENT } from "../support/documented-answers.ts";
import { DashboardClient, ORIGIN } from "../support/dashboard-client.ts";
import type { GatewayHarness, HarnessOptions } from "../support/gateway-harness.ts";
import { assertNames, assertProblem, at, openGatewayHarness, send } from "../support/gateway-harness.ts";
import { ENDPOINT_ID, sampleEnvelope, sampleEnvelopes, sampleRecord } from "../support/samples.ts";

const STREAM = DOCUMENT.paths["/v1/tail"]?.["get"]?.responses["200"];
const DESCRIBED =
  STREAM !== undefined && "content" in STREAM ? (STREAM.content?.["text/event-stream"]?.["x-events"] ?? {}) : {};

interface Reader {
  readonly status: number;
  readonly headers: Headers;
  /** All that came so far. */
  text(): string;
  /** What came as events, `[event, id, data]`. */
  events(): readonly (readonly [string, string | null, unknown])[];
  cancel(): Promise<void>;
  readonly ended: Promise<void>;
}

/** Reads at once what there is, unless `isStuck`. */
async function openReader(
  { gateway, operatorKey }: GatewayHarness,
  query = "",
  { key = operatorKey, isStuck = false }: { key?: string; isStuck?: boolean } = {},
): Promise<Reader & { read(): Promise<void> }> {
  const headers = { authorization: `Bearer ${key}` };
  const response = await gateway.fetch(new Request(`http://localhost/v1/tail${query}`, { headers }));
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader !== undefined);
  let text = "";
  const read = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
    }
  };
  return {
    status: response.status,
    headers: response.headers,
    text: () => text,
    events: () => eventsIn(text),
    cancel: () => reader.cancel(),
    ended: isStuck ? new Promise(() => undefined) : read(),
    read,
  };
}

function eventsIn(text: string): readonly (readonly [string, string | null, unknown])[] {
  return text.split("\n\n").flatMap((block) => {
    const event = /^event: (.*)$/m.exec(block)?.[1];
    if (event === undefined) return [];
    const data = /^data: (.*)$/m.exec(block)?.[1] ?? "";
    assertMatches(DESCRIBED[event] ?? {}, data, `the data of ${event}`);
    assert.ok(Object.hasOwn(DESCRIBED, event), `${event} is described`);
    return [[event, /^id: (.*)$/m.exec(block)?.[1] ?? null, JSON.parse(data) as unknown] as const];
  });
}

const namesOf = (reader: Reader): readonly string[] => reader.events().map(([event, id]) => `${event} ${id}`);
const TENANT = "default";
const accepted = (id: string, parts = {}): TailEntry => acceptedEntry(sampleEnvelope(id, { tenant: TENANT, ...parts }));
const attempted = (id: string, parts = {}): TailEntry =>
  deliveryEntry(sampleRecord(sampleEnvelope(id, { tenant: TENANT }), { state: "delivered", ...parts }), "medium");

async function tell({ drivers, clock }: GatewayHarness, ...entries: readonly TailEntry[]): Promise<void> {
  drivers.tail.publish(entries);
  await clock.advance(LINGER_MS);
}

const open = (options: HarnessOptions = {}) => openGatewayHarness(options);

test("200, an event stream: an accepted event is shown with its facts, after a first line at once", async () => {
  await using harness = await open();
  const reader = await openReader(harness);
  await harness.clock.settle();
  assert.equal(reader.status, 200);
  assert.equal(reader.headers.get("content-type"), "text/event-stream");
  assert.equal(reader.headers.get("cache-control"), "no-store");
  assert.equal(reader.text(), "retry: 3000\n: watching\n\n");
  const body = { type: "order.paid", data: { n: 1 }, priority: "HIGH" };
  const published = await harness.call("POST", "/v1/events", { body });
  await harness.clock.advance(LINGER_MS);
  const id = String(at(published.json, "id"));
  const facts = { id, tenant: "default", type: "order.paid", lane: "high" };
  const times = { accepted_at: "2026-01-31T12:00:00.000Z", deliver_at: null };
  assert.deepEqual(reader.events(), [["accepted", id, { ...facts, ...times, body_bytes: 75 }]]);
});

test("events of a batch are shown, those that were refused are not", async () => {
  await using harness = await open();
  const reader = await openReader(harness);
  const events = [
    { type: "a", data: 1, id: "one" },
    { type: "", data: 1 },
    { type: "b", data: 2, id: "two" },
  ];
  await harness.call("POST", "/v1/events/batch", { body: { events } });
  await harness.clock.advance(LINGER_MS);
  assert.deepEqual(namesOf(reader), ["accepted one", "accepted two"]);
});

test("an attempt is shown with its outcome, and what becomes of a delivery without one", async () => {
  await using harness = await open();
  const reader = await openReader(harness);
  const nextAttemptAtMs = harness.clock.now() + 5000;
  const failed = { kind: "fault", fault: "timeout", detail: "no answer in 15 s", durationMs: 15_000.4 } as const;
  await tell(
    harness,
    attempted("a", { state: "retrying", result: failed, reason: "no answer in 15 s", nextAttemptAtMs }),
    attempted("a", { state: "paused", result: null, reason: "the endpoint is paused", attempt: 0 }),
  );
  const facts = { event_id: "a", tenant: "default", type: "order.paid", lane: "medium", endpoint_id: ENDPOINT_ID };
  const times = { replayed_at: null, at: "2026-01-31T12:00:00.100Z" };
  const attempt = {
    outcome: "retry",
    status: null,
    fault: "timeout",
    duration_ms: 15_000,
    reason: "no answer in 15 s",
  };
  assert.deepEqual(reader.events(), [
    [
      "attempt",
      `a/${ENDPOINT_ID}/0/1`,
      { ...facts, ...times, attempt: 1, state: "retrying", ...attempt, next_attempt_at: "2026-01-31T12:00:05.000Z" },
    ],
    [
      "delivery",
      `a/${ENDPOINT_ID}/0/0/paused`,
      { ...facts, ...times, attempt: 0, state: "paused", reason: "the endpoint is paused", next_attempt_at: null },
    ],
  ]);
});

const OTHER_ENDPOINT = "ep_01kg9bqf00bbbbbbbbbbbbbbbb";
const filters: Readonly<Record<string, readonly string[]>> = {
  "": [
    "accepted a",
    "accepted b",
    `attempt a/${ENDPOINT_ID}/0/1`,
    `attempt a/${OTHER_ENDPOINT}/0/2`,
    `delivery a/${ENDPOINT_ID}/0/2/dead`,
  ],
  "?tenant=acme": ["accepted of-acme"],
  "?type=order.*": [
    "accepted a",
    `attempt a/${ENDPOINT_ID}/0/1`,
    `attempt a/${OTHER_ENDPOINT}/0/2`,
    `delivery a/${ENDPOINT_ID}/0/2/dead`,
  ],
  "?type=user.created": ["accepted b"],
  "?lane=low": ["accepted b"],
  [`?endpoint_id=${OTHER_ENDPOINT}`]: [`attempt a/${OTHER_ENDPOINT}/0/2`],
  "?outcome=delivered": [`attempt a/${ENDPOINT_ID}/0/1`],
  "?outcome=retry": [`attempt a/${OTHER_ENDPOINT}/0/2`],
  "?outcome=failed&lane=medium": [`attempt a/${OTHER_ENDPOINT}/0/2`],
  "?outcome=dead": [],
};
for (const [query, expected] of Object.entries(filters)) {
  test(`the filter "${query}" shows ${expected.length} of 6, and an operator's * shows all of every tenant`, async () => {
    await using harness = await open();
    const reader = await openReader(harness, query);
    const every = await openReader(harness, `${query === "" ? "?" : `${query}&`}tenant=*`.replace("tenant=acme&", ""));
    await tell(
      harness,
      accepted("a"),
      accepted("b", { type: "user.created", priority: "LOW" }),
      accepted("of-acme", { tenant: "acme", type: "acme.only", priority: "HIGH" }),
      attempted("a"),
      attempted("a", { endpointId: OTHER_ENDPOINT, state: "retrying", attempt: 2 }),
      attempted("a", { state: "dead", result: null, attempt: 2 }),
    );
    assert.deepEqual(namesOf(reader), expected);
    assert.equal(every.events().length, query === "" || query === "?tenant=acme" ? 6 : expected.length);
  });
}

test("what waits for no endpoint that is known is shown without one, as everywhere", async () => {
  await using harness = await open();
  const reader = await openReader(harness);
  await tell(
    harness,
    attempted("a", { endpointId: UNKNOWN_ENDPOINT, state: "dead", result: null, reason: "no endpoints" }),
  );
  assert.equal(at(reader.events()[0]?.[2], "endpoint_id"), null);
});

test("a tenant key sees its own tenant alone; 403 when it names another, 400 for a filter that is none", async () => {
  await using harness = await open();
  const acme = await harness.createKey({ tenant: "acme" });
  const reader = await openReader(harness, "", { key: acme });
  await tell(harness, accepted("a"), accepted("b", { tenant: "acme" }));
  assert.deepEqual(namesOf(reader), ["accepted b"]);
  for (const tenant of ["default", "*"]) {
    assertProblem(await harness.call("GET", `/v1/tail?tenant=${tenant}`, { key: acme }), 403, "wrong-tenant");
  }
  for (const filter of ["type=a..b", "lane=HIGH", "endpoint_id=x", "outcome=lost", "since=now"]) {
    const refused = await harness.call("GET", `/v1/tail?${filter}`);
    assertProblem(refused, 400, "invalid-query");
    assertNames(refused, filter.split("=")[0] ?? "");
  }
});

test("nothing is watched without a reader, and HEAD is none", async () => {
  await using harness = await open();
  const { tail } = harness.drivers;
  const head = await harness.call("HEAD", "/v1/tail");
  assert.deepEqual([head.status, head.headers.get("content-type"), head.text], [200, "text/event-stream", ""]);
  assert.equal(tail.isWatched("default"), false);
  const reader = await openReader(harness);
  const acme = await openReader(harness, "?tenant=acme");
  assert.deepEqual([tail.isWatched("default"), tail.isWatched("acme"), tail.isWatched("other")], [true, true, false]);
  await reader.cancel();
  await harness.clock.settle();
  assert.deepEqual([tail.isWatched("default"), tail.isWatched("acme")], [false, true]);
  await acme.cancel();
  await harness.clock.settle();
  assert.equal(tail.isWatched("acme"), false);
});

test("HEAD for the stream of a page is no reader either", async () => {
  await using harness = await open();
  const client = new DashboardClient(harness.gateway);
  await client.signIn(harness.operatorKey);
  const headers = { cookie: client.cookie ?? "", host: "localhost" };
  const head = await harness.gateway.fetch(new Request(`${ORIGIN}/dashboard/tail`, { method: "HEAD", headers }));
  assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
  await harness.clock.settle();
  assert.equal(harness.drivers.tail.isWatched("default"), false);
});

test("a reader that does not read is ended with a count; nineteen others are shown everything", async () => {
  await using harness = await open();
  const stuck = await openReader(harness, "", { isStuck: true });
  const others = await Promise.all(Array.from({ length: 19 }, () => openReader(harness)));
  const perTurn = 500;
  let told = 0;
  // Each is more than 150 bytes long; the first may be on its way to the caller already.
  while (told * 150 < 2 * UNREAD_BYTES_MAX + perTurn * 300) {
    await tell(harness, ...sampleEnvelopes(perTurn, { tenant: "default" }).map(acceptedEntry));
    told += perTurn;
  }
  for (const other of others) assert.equal(other.events().length, told);
  await stuck.read();
  const events = stuck.events();
  const last = events.at(-1);
  assert.deepEqual([last?.[0], at(last?.[2], "code")], ["end", "slow-reader"]);
  const shown = events.length - 1;
  const unsent = Number(at(last?.[2], "unsent"));
  assert.ok(unsent > 0 && shown + unsent <= told, `${shown} shown, ${unsent} not, of ${told}`);
  assert.ok(stuck.text().length < 2 * UNREAD_BYTES_MAX);
  await tell(harness, accepted("after"));
  assert.equal(others[0]?.events().length, told + 1);
});

test("429 past one key's share of the readers, 503 when there are as many as may be, and a place is free when one leaves", async () => {
  await using harness = await open();
  const readers: Reader[] = [];
  const fill = async (key: string, tenant: string): Promise<void> => {
    for (;;) {
      const headers = { authorization: `Bearer ${key}` };
      const request = new Request(`http://localhost/v1/tail?tenant=${tenant}`, { headers });
      const response = await harness.gateway.fetch(request);
      if (response.status !== 200) return void (await response.text());
      readers.push({ cancel: () => response.body?.cancel() ?? Promise.resolve() } as Reader);
    }
  };
  const acme = await harness.createKey({ tenant: "acme" });
  await fill(acme, "acme");
  assert.equal(readers.length, Math.ceil(READERS_MAX / 3));
  assertProblem(await harness.call("GET", "/v1/tail", { key: acme }), 429, "share-reached");
  for (let nth = 0; nth < 20; nth++) await fill(await harness.createKey({ tenant: `t${nth}` }), `t${nth}`);
  assert.equal(readers.length, READERS_MAX);
  const refused = await harness.call("GET", "/v1/tail");
  assertProblem(refused, 503, "overloaded");
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  await readers[0]?.cancel();
  assert.equal((await openReader(harness)).status, 200);
});

test("a silent stream has a comment every 15 s", async () => {
  await using harness = await open();
  const reader = await openReader(harness);
  await harness.clock.advance(3 * HEARTBEAT_MS + KEYS_MS);
  assert.equal(reader.text(), `retry: 3000\n: watching\n\n${": still here\n\n".repeat(3)}`);
});

test("the stream of a key that is revoked or expires ends within two seconds, and says why; others stay", async () => {
  await using harness = await open();
  const { clock, drivers } = harness;
  const revoked = await openReader(harness, "", { key: await harness.createKey({ id: "key_revoked" }) });
  const key = await harness.createKey({ expiresAtMs: clock.now() + 10_000 });
  const expired = await openReader(harness, "", { key });
  const staying = await openReader(harness);
  await drivers.apiKeys.revoke(null, "key_revoked", clock.now());
  await clock.advance(2000);
  await revoked.ended;
  assert.deepEqual(
    [revoked.events().map(([event, , data]) => `${event} ${String(at(data, "code"))}`)],
    [["end key-revoked"]],
  );
  assert.deepEqual(expired.events(), []);
  await clock.advance(10_000);
  await expired.ended;
  assert.equal(at(expired.events()[0]?.[2], "code"), "key-expired");
  await tell(harness, accepted("a"));
  assert.deepEqual(namesOf(staying), ["accepted a"]);
});

test("while keys cannot be looked up, streams go on", async () => {
  let isAway = false;
  await using harness = await open({
    wrap: (drivers) => ({
      ...drivers,
      apiKeys: {
        ...drivers.apiKeys,
        find: (hash) => (isAway ? Promise.reject(storeFault("Redis does not answer.")) : drivers.apiKeys.find(hash)),
      },
    }),
  });
  const reader = await openReader(harness);
  isAway = true;
  await harness.clock.advance(10 * KEYS_MS);
  await tell(harness, accepted("a"));
  assert.deepEqual(namesOf(reader), ["accepted a"]);
});

test("a stop ends every stream with what it was still owed, and no new one begins", async () => {
  await using harness = await open();
  const reader = await openReader(harness);
  const late = await openReader(harness, "", { isStuck: true });
  await tell(harness, accepted("a"));
  harness.gateway.stop();
  await reader.ended;
  await late.read();
  for (const { events } of [reader, late]) {
    assert.deepEqual(
      events().map(([event, , data]) => [event, at(data, "code")]),
      [
        ["accepted", undefined],
        ["end", "stopping"],
      ],
    );
  }
  assertProblem(await harness.call("GET", "/v1/tail"), 503, "stopping");
  assert.equal(harness.drivers.tail.isWatched("default"), false);
});

test("what comes faster than it is written is lost past a bound, and readers are told how many", async () => {
  await using harness = await open();
  const reader = await openReader(harness, "?tenant=acme");
  const other = { tenant: "other" };
  harness.drivers.tail.publish(sampleEnvelopes(HEARD_MAX - 1, other).map(acceptedEntry));
  await tell(harness, ...Array.from({ length: 8 }, (_, nth) => accepted(`evt_${nth}`, { tenant: "acme" })));
  assert.deepEqual(
    reader.events().map(([event, id, data]) => [event, id, at(data, "count")]),
    [
      ["lost", null, 7],
      ["accepted", "evt_0", undefined],
    ],
  );
});

test("a stream costs no slot of the requests at work, and one unit of the rate limit", async () => {
  await using harness = await open({ limits: { inFlightMax: 1 } });
  const key = await harness.createKey({ rateLimit: { limit: 3, windowMs: 1000, failureMode: "local" } });
  const reader = await openReader(harness, "", { key });
  assert.match(reader.headers.get("ratelimit") ?? "", /r=2/);
  const answer = await send(harness.gateway, "GET", "/v1/events", { key });
  assert.equal(answer.status, 200);
});

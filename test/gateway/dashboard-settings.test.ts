/** The settings of an endpoint in its form: retries, limit, batches, and headers whose values are never shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { DashboardClient, movedTo } from "../support/dashboard-client.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const HOSTILE = `"'><script>alert(1)</script>`;
const URL_GIVEN = "https://acme.example/hooks";
const NO_SETTINGS = {
  retry_form: "default",
  retry_delays: "",
  retry_base: "",
  retry_factor: "",
  retry_max: "",
  retry_attempts: "",
  rate_limit: "",
  rate_window: "",
  batch_events: "",
  batch_wait: "",
} as const;
const NO_HEADER = { header_name: ["", ""], header_value: ["", ""], header_do: ["add", "add"] } as const;
const EMPTY = { url: URL_GIVEN, event_types: "", description: "", ...NO_SETTINGS, ...NO_HEADER };

async function open() {
  const harness = await openGatewayHarness();
  const client = new DashboardClient(harness.gateway);
  const key = await harness.createKey({ tenant: "acme" });
  await client.signIn(key);
  const create = async (body: object): Promise<string> =>
    textAt((await harness.call("POST", "/v1/endpoints", { key, body: { url: URL_GIVEN, ...body } })).json, "id");
  return { harness, client, create };
}

async function stored({ drivers }: GatewayHarness): Promise<Endpoint> {
  const [endpoint] = (await drivers.directory.list({ tenant: "acme" }, 10, null)).rows;
  assert.ok(endpoint !== undefined, "there is an endpoint");
  return endpoint;
}

test("retries, limit, batches and headers are set by the form, and taken back by it", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const created = await client.send("/dashboard/endpoints/new", {
    ...EMPTY,
    retry_form: "list",
    retry_delays: "0, 5 s, 1.5 min; 2h",
    rate_limit: "10",
    rate_window: "1 min",
    batch_events: "100",
    batch_wait: "500 ms",
    header_name: ["X-Token", ""],
    header_value: ["a secret", ""],
  });
  assert.equal(created.status, 201, created.text);
  const first = await stored(harness);
  assert.deepEqual(first.retry, { delays_s: [0, 5, 90, 7200] });
  assert.deepEqual(
    [first.rateLimit, first.batch],
    [
      { limit: 10, windowMs: 60_000 },
      { maxEvents: 100, maxWaitMs: 500 },
    ],
  );
  assert.deepEqual(first.headers, { "x-token": "a secret" });
  const edit = `/dashboard/endpoints/${first.id}/edit`;
  const { text } = await client.visit(edit);
  for (const value of ["0 s, 5 s, 90 s, 2 h", "1 min", "100", "0.5 s"])
    assert.ok(text.includes(`value="${value}"`), value);
  movedTo(
    await client.send(edit, {
      ...EMPTY,
      retry_form: "backoff",
      retry_base: "5 s",
      retry_factor: "1.5",
      retry_max: "1 h",
      retry_attempts: "7",
    }),
  );
  const second = await stored(harness);
  assert.deepEqual(second.retry, { base_s: 5, factor: 1.5, max_s: 3600, attempts: 7 });
  assert.deepEqual([second.rateLimit, second.batch], [null, null]);
  movedTo(await client.send(edit, EMPTY));
  assert.equal((await stored(harness)).retry, null);
});

test("what the page shows of the settings, sent as it is, changes nothing", async () => {
  const { harness, client, create } = await open();
  await using _ = harness;
  const settings = {
    retry: { delays_s: [0.25, 61, 3600, 172_800] },
    rate_limit: { limit: 3, window_ms: 1500 },
    batch: { max_events: 2, max_wait_ms: 1 },
  };
  const id = await create({ ...settings, headers: { "x-token": "a secret", "x-other": "another" } });
  const before = await stored(harness);
  const { text } = await client.visit(`/dashboard/endpoints/${id}/edit`);
  const fields: Record<string, string[]> = {};
  const main = text.slice(text.indexOf("<main"));
  for (const [, tag = ""] of main.matchAll(/<input([^>]*)>/g)) {
    const [name = "", value = ""] = ["name", "value"].map(
      (each) => new RegExp(` ${each}="([^"]*)"`).exec(tag.replaceAll(/\s+/g, " "))?.[1] ?? "",
    );
    (fields[name] ??= []).push(value);
  }
  for (const [, name = "", options = ""] of main.matchAll(/<select[^>]* name="(\w+)"[^>]*>([\s\S]*?)<\/select>/g)) {
    (fields[name] ??= []).push(/value="(\w+)" selected/.exec(options)?.[1] ?? "");
  }
  // In the order of the page: what is kept comes before what is new.
  fields["header_do"] = (fields["header_do"] ?? []).toSorted((left, right) =>
    left === "keep" ? -1 : right === "keep" ? 1 : 0,
  );
  movedTo(await client.send(`/dashboard/endpoints/${id}/edit`, fields));
  assert.deepEqual({ ...(await stored(harness)), updatedAtMs: 0 }, { ...before, updatedAtMs: 0 });
});

test("a header is kept, changed and removed by itself, and no page has its value", async () => {
  const { harness, client, create } = await open();
  await using _ = harness;
  const id = await create({ headers: { "x-a": "s3cret-a", "x-b": "s3cret-b", "x-c": "s3cret-c" } });
  const edit = `/dashboard/endpoints/${id}/edit`;
  for (const path of [edit, `/dashboard/endpoints/${id}`]) {
    const { text } = await client.visit(path);
    assert.match(text, /x-a/);
    assert.doesNotMatch(text, /s3cret/);
  }
  const sent = await client.send(edit, {
    ...EMPTY,
    header_name: ["x-a", "x-b", "x-c", "x-d", ""],
    header_do: ["keep", "remove", "keep", "add", "add"],
    header_value: ["", "", "new", "more", ""],
  });
  movedTo(sent);
  assert.deepEqual((await stored(harness)).headers, { "x-a": "s3cret-a", "x-c": "new", "x-d": "more" });
});

for (const [fields, place, words] of [
  [{ retry_form: "list", retry_delays: "0, soon" }, "retry_delays", /\(number 2 of them\) must be a number of seconds/],
  [{ retry_form: "list", retry_delays: "" }, "retry_delays", /must name at least one wait/],
  [{ retry_form: "list", retry_delays: "0, 8 d" }, "retry_delays", /must be at most 604800 seconds/],
  [
    { retry_form: "backoff", retry_base: "1", retry_factor: "20", retry_max: "9", retry_attempts: "3" },
    "retry_factor",
    /must be at most 10/,
  ],
  [{ retry_form: "backoff", retry_base: "soon" }, "retry_form", /must be/],
  [{ rate_limit: "0", rate_window: "1 s" }, "rate_limit", /must be at least 1/],
  [{ rate_limit: "5", rate_window: HOSTILE }, "rate_window", /must be a whole number/],
  [{ batch_events: "5", batch_wait: "2 min" }, "batch_wait", /must be at most 60000/],
  [
    { header_name: ["content-type", ""], header_value: ["x", ""] },
    "header_0",
    /is a header that Posthaste or HTTP itself sets/,
  ],
  [{ header_name: ["", "x-mask"], header_value: ["", "***"] }, "header_0", /is the mask that the API shows/],
  [{ header_name: ["", ""], header_value: ["lost", ""] }, "header_0", /must be an HTTP header name/],
  [{ header_name: ["x-a", "X-A"], header_value: ["1", "2"] }, "header_1", /is given more than once/],
  [{ header_name: [HOSTILE, ""], header_value: ["1", ""] }, "header_0", /must be an HTTP header name/],
] as const) {
  test(`what is wrong is said at ${place}, and what was typed stays as text: ${JSON.stringify(fields)}`, async () => {
    const { harness, client } = await open();
    await using _ = harness;
    const { status, text, words: shown } = await client.send("/dashboard/endpoints/new", { ...EMPTY, ...fields });
    assert.equal(status, 422, text);
    assert.match(new RegExp(`id="f-${place}-wrong">([^<]*)<`).exec(shown)?.[1] ?? "nothing is said there", words);
    assert.match(shown, /Not done yet: see what is said at the/);
    assert.ok(!text.includes("<script>alert"), "typed text is no markup");
    for (const typed of Object.values(fields).flat()) {
      const escaped = typed
        .replaceAll("'", "&#39;")
        .replaceAll('"', "&quot;")
        .replaceAll("<", "&lt;")
        .replaceAll(">", "&gt;");
      assert.ok(text.includes(`value="${escaped}"`), typed);
    }
    assert.equal((await harness.drivers.directory.list({ tenant: "acme" }, 10, null)).rows.length, 0);
  });
}

test("a URL of another origin asks for its headers again, each at its own row", async () => {
  const { harness, client, create } = await open();
  await using _ = harness;
  const id = await create({ headers: { "x-a": "s3cret-a", "x-b": "s3cret-b" } });
  const rows = { header_name: ["x-a", "x-b", "", ""], header_do: ["keep", "keep", "add", "add"] };
  const sent = { ...EMPTY, ...rows, url: "https://other.example/", header_value: ["given again", "", "", ""] };
  const { status, words, text } = await client.send(`/dashboard/endpoints/${id}/edit`, sent);
  assert.equal(status, 422);
  assert.match(words, /id="f-header_1-wrong">New value of x-b must be given again, or removed/);
  assert.doesNotMatch(words, /f-header_0-wrong"/);
  assert.doesNotMatch(text, /s3cret/);
  assert.deepEqual((await stored(harness)).headers, { "x-a": "s3cret-a", "x-b": "s3cret-b" });
});

test("of two who change an endpoint the second is told, and takes back nothing that the first has saved", async () => {
  const { harness, client, create } = await open();
  await using _ = harness;
  const edit = `/dashboard/endpoints/${await create({})}/edit`;
  const seenIn = (text: string): string => /name="seen" value="([^"]+)"/.exec(text)?.[1] ?? "";
  const seen = seenIn((await client.visit(edit)).text);
  await harness.clock.advance(1000);
  movedTo(await client.send(edit, { ...EMPTY, url: "https://new.example/hooks", seen }));
  await harness.clock.advance(1000);
  const late = await client.send(edit, { ...EMPTY, description: "of the second", seen });
  assert.equal(late.status, 422);
  assert.match(late.words, /Somebody has changed this since you opened the form, and nothing was saved\./);
  assert.match(late.text, /value="of the second"/);
  const first = await stored(harness);
  assert.deepEqual([first.url, first.description], ["https://new.example/hooks", ""]);
  movedTo(await client.send(edit, { ...EMPTY, description: "of the second", seen: seenIn(late.text) }));
  assert.equal((await stored(harness)).description, "of the second");
});

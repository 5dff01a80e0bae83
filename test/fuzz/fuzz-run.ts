/**
 * A run of the fuzzer: requests from the seed against a living gateway, each answer held to the rules; then a restart on the
 * same data, after which everything that was taken must read back as it was.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Chance } from "../simulation/chance.ts";
import { createChance } from "../simulation/chance.ts";
import { faultOf, MARK_OF } from "./answer-rules.ts";
import type { Census, FuzzSubject } from "./fuzz-subject.ts";
import { startFuzzSubject } from "./fuzz-subject.ts";
import type { KnownThings } from "./known-things.ts";
import { createKnownThings } from "./known-things.ts";
import type { RawAnswer, RawClient, RawRequest } from "./raw-client.ts";
import { bytesOf, openRawClient } from "./raw-client.ts";
import type { Drawn, Keys } from "./request-grammar.ts";
import { drawRequest } from "./request-grammar.ts";
import type { World } from "./route-plans.ts";

export interface FuzzOptions {
  readonly seed: number;
  readonly requests: number;
  /** Of the program: which set, and its stores. */
  readonly env: Readonly<Record<string, string>>;
  /** Told after each of the `PARTS`. */
  readonly onCensus?: (done: number, census: Census) => void;
}

export interface FuzzReport {
  /** Broken rules, each with the request that showed it. */
  readonly faults: readonly string[];
  /** How many answers had each status; 0 for a connection that was closed. */
  readonly statuses: Readonly<Record<number, number>>;
  /** Good answers by route: a route without one was not really reached. */
  readonly successes: Readonly<Record<string, number>>;
  readonly censuses: readonly Census[];
}

const OPERATOR_KEY = "operator-key-of-the-fuzzed-gateway";
/** A census is taken after each. */
const PARTS = 20;
const CONNECTIONS = 8;
const FAULTS_MAX = 20;
/** So many endpoints may an event fan out to; more are removed now and then. */
const ENDPOINTS_MAX = 16;
const TIDY_EVERY = 100;
const decoder = new TextDecoder("utf-8");

export async function runFuzz(options: FuzzOptions): Promise<FuzzReport> {
  await using receiver = await openFuzzReceiver();
  const env = { ...options.env, FUZZ_KEY: OPERATOR_KEY };
  const chance = createChance(options.seed);
  const faults: string[] = [];
  const statuses: Record<number, number> = {};
  const successes: Record<string, number> = {};
  const censuses: Census[] = [];
  {
    await using subject = await startFuzzSubject(env);
    const { keys, known } = await prepare(subject);
    const reached = new Set<string>();
    const world = { known, receiver: receiver.url, reached };
    const judge = (drawn: Drawn, answer: RawAnswer): void => {
      const status = answer.kind === "answered" ? answer.status : 0;
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status >= 200 && status < 300) {
        successes[drawn.route] = (successes[drawn.route] ?? 0) + 1;
        reached.add(drawn.route);
      }
      const fault = faultOf(drawn, answer);
      if (fault !== null && faults.length < FAULTS_MAX) faults.push(`${fault}\n${shown(drawn.request, answer)}`);
    };
    const doneAfter = (part: number): number => Math.floor((options.requests * part) / PARTS);
    for (let part = 1; part <= PARTS; part++) {
      await runPart(subject.port, chance, doneAfter(part) - doneAfter(part - 1), { keys, world, judge });
      const census = await subject.census();
      censuses.push(census);
      options.onCensus?.(doneAfter(part), census);
      faults.push(...(await subject.crashes()));
      if (faults.length > 0) return { faults, statuses, successes, censuses };
    }
    const before = await readEverything(subject.port);
    faults.push(...(await subject.stop()));
    await using again = await startFuzzSubject(env);
    faults.push(...differences(before, await readEverything(again.port)));
    faults.push(...(await again.stop()));
  }
  return { faults, statuses, successes, censuses };
}

interface Part {
  readonly keys: Keys;
  readonly world: World;
  readonly judge: (drawn: Drawn, answer: RawAnswer) => void;
}

async function runPart(port: number, chance: Chance, count: number, { keys, world, judge }: Part): Promise<void> {
  let left = count;
  const work = async (own: Chance): Promise<void> => {
    using client = openRawClient(port);
    while (left > 0) {
      left--;
      if (left % TIDY_EVERY === 0) {
        await removeSome(client, world.known);
        await publishForLater(client, world.known);
        await letSomeDie(client);
        world.known.learn((await call(client, "GET", "/v1/dead-letters?tenant=*")).text);
      }
      const drawn = drawRequest(own, world, keys);
      const answer = await client.send(drawn.request);
      judge(drawn, answer);
      if (answer.kind === "answered" && answer.status < 300) world.known.learn(decoder.decode(answer.body));
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, () => work(chance.fork())));
}

/** Keys of two tenants and of the operator, with all scopes, with few, spent and revoked; and a thing of each tenant with its mark. */
async function prepare(subject: FuzzSubject): Promise<{ keys: Keys; known: KnownThings }> {
  using client = openRawClient(subject.port);
  const ask = (method: string, path: string, body?: object, key?: string) => call(client, method, path, body, key);
  const make = async (wish: object): Promise<{ id: string; key: string }> => {
    const made = await ask("POST", "/v1/api-keys", { name: "fuzz", ...wish });
    assert(made.status === 201, `a key is made: ${made.text}`);
    return JSON.parse(made.text) as { id: string; key: string };
  };
  const wide = { rate_limit: { limit: 100_000, window_ms: 1000 } };
  const acme = await make({ tenant: "acme", ...wide });
  const beta = await make({ tenant: "beta", ...wide });
  const publisher = await make({ tenant: "acme", scopes: ["publish"], ...wide });
  const limited = await make({ tenant: "beta", rate_limit: { limit: 3, window_ms: 1000 } });
  const revoked = await make({ tenant: "acme" });
  await ask("DELETE", `/v1/api-keys/${revoked.id}`);
  for (const [tenant, { key }] of Object.entries({ acme, beta })) {
    const mark = MARK_OF[tenant as keyof typeof MARK_OF];
    await ask("POST", "/v1/endpoints", { url: `https://none.none.test/${mark}`, description: mark }, key);
    await ask("POST", "/v1/events", { type: "order.paid", data: mark }, key);
  }
  const all = await ask("GET", "/v1/api-keys?tenant=*&limit=100");
  const known = createKnownThings(new Set(all.text.match(/key_\w{26}/g)));
  // What acme must not see, it may try by name.
  for (const { key } of [acme, beta]) {
    for (const path of ["/v1/events", "/v1/endpoints"]) known.learn((await ask("GET", path, undefined, key)).text);
  }
  const often = [
    { caller: "operator", key: OPERATOR_KEY },
    { caller: "acme", key: acme.key },
    { caller: "beta", key: beta.key },
  ];
  const good = [
    ...Array.from({ length: 8 }, () => often).flat(),
    { caller: "acme", key: publisher.key },
    { caller: "beta", key: limited.key },
  ];
  return { keys: { good, bad: [revoked.key, `phk_${"z".repeat(40)}`, "", "x", "y".repeat(200), "\u00e9"] }, known };
}

async function removeSome(client: RawClient, known: KnownThings): Promise<void> {
  const found: { readonly id: string; readonly tenant: string }[] = [];
  let cursor: string | null = null;
  do {
    const suffix: string = cursor === null ? "" : `&cursor=${cursor}`;
    const page = await call(client, "GET", `/v1/endpoints?tenant=*&limit=100${suffix}`);
    const rows = JSON.parse(page.text) as { data: { id: string; tenant: string }[]; next_cursor: string | null };
    found.push(...rows.data);
    cursor = rows.next_cursor;
  } while (cursor !== null);
  // Oldest first; the first two carry the marks. Others may have removed one meanwhile.
  for (const { id, tenant } of found.slice(2, Math.max(2, found.length - ENDPOINTS_MAX))) {
    const { status, text } = await call(client, "DELETE", `/v1/endpoints/${id}?tenant=${tenant}`);
    assert(status === 204 || status === 404, `an endpoint is removed: ${status} ${text}`);
    known.forget(id);
  }
}

/** Few events that are drawn have a time far enough off; without them a cancel would find nothing but what is over. */
async function publishForLater(client: RawClient, known: KnownThings): Promise<void> {
  const deliver_at = new Date(Date.now() + 3_600_000).toISOString();
  for (const tenant of Object.keys(MARK_OF)) {
    const { status, text } = await call(client, "POST", "/v1/events", {
      tenant,
      type: "order.paid",
      data: {},
      deliver_at,
    });
    assert(status === 202, `an event for later is taken: ${text}`);
    known.isForLater((JSON.parse(text) as { id: string }).id);
  }
}

/** An event of each tenant dies at its first attempt: whether others do while requests are drawn depends on the speed of the machine. */
async function letSomeDie(client: RawClient): Promise<void> {
  for (const tenant of Object.keys(MARK_OF)) {
    const wish = { tenant, url: "https://none.none.test/dies", event_types: ["order.dies"], retry: { delays_s: [0] } };
    const made = await call(client, "POST", "/v1/endpoints", wish);
    assert(made.status === 201 || made.status === 409, `an endpoint is made: ${made.status} ${made.text}`);
    const { status, text } = await call(client, "POST", "/v1/events", { tenant, type: "order.dies", data: {} });
    assert(status === 202, `an event is taken: ${status} ${text}`);
  }
}

/** All endpoints and keys of all tenants as the API shows them, by id. */
async function readEverything(port: number): Promise<ReadonlyMap<string, string>> {
  using client = openRawClient(port);
  const all = new Map<string, string>();
  for (const path of ["/v1/endpoints", "/v1/api-keys"]) {
    let cursor: string | null = null;
    do {
      const page = await call(client, "GET", `${path}?tenant=*&limit=100${cursor === null ? "" : `&cursor=${cursor}`}`);
      assert(page.status === 200, `${path} is read: ${page.text}`);
      const { data, next_cursor } = JSON.parse(page.text) as { data: { id: string }[]; next_cursor: string | null };
      for (const row of data) all.set(row.id, JSON.stringify(row));
      cursor = next_cursor;
    } while (cursor !== null);
  }
  return all;
}

/** An endpoint may be disabled by a delivery between the two reads. */
function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const settled = (text: string | undefined): string | undefined =>
    text?.replace(/"status":.*$/, "").replace(/"updated_at":"[^"]*"/, "");
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((id) => settled(before.get(id)) !== settled(after.get(id)))
    .map((id) => `${id} is another after the restart:\n${before.get(id)}\n${after.get(id)}`);
}

async function call(client: RawClient, method: string, path: string, body?: object, key = OPERATOR_KEY) {
  const bytes = Buffer.from(body === undefined ? "" : JSON.stringify(body));
  const headers: [string, string][] = [
    ["Host", "127.0.0.1"],
    ["Authorization", `Bearer ${key}`],
    ["Content-Type", "application/json"],
    ["Content-Length", String(bytes.length)],
  ];
  const request: RawRequest = { method, target: path, headers, body: bytes, isUnframed: false, isCut: false };
  const answer = await client.send(request);
  assert(answer.kind === "answered", `${method} ${path} is answered`);
  return { status: answer.status, text: decoder.decode(answer.body) };
}

const SHOWN_BYTES = 1500;

function shown(request: RawRequest, answer: RawAnswer): string {
  const sent = bytesOf(request).subarray(0, SHOWN_BYTES).toString("latin1");
  const got =
    answer.kind === "answered" ? `${answer.status} ${decoder.decode(answer.body).slice(0, SHOWN_BYTES)}` : answer.kind;
  const before =
    answer.kind === "hung" && answer.before !== null ? bytesOf(answer.before).subarray(0, SHOWN_BYTES) : "";
  return `--- before it on the connection\n${before.toString("latin1")}\n--- sent\n${sent}\n--- got\n${got}\n`;
}

/** Answers as the path says: /ok, /fail, /gone, /later. */
async function openFuzzReceiver(): Promise<AsyncDisposable & { readonly url: string }> {
  const statuses: Readonly<Record<string, number>> = { "/fail": 500, "/gone": 410, "/later": 503 };
  const server = createServer((request, response) => {
    request.resume();
    const status = statuses[request.url ?? ""] ?? 200;
    response.writeHead(status, status === 503 ? { "retry-after": "1" } : {}).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => void server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

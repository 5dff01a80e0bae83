/** The operator hears of queues that lag, once and signed, and of their end; a tenant hears of its endpoint that fails. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import type { Receiver } from "../support/receiver.ts";
import { listen } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import type { Answer } from "./posthaste-child.ts";
import { call, openFolder, startServe } from "./posthaste-child.ts";

interface Got {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly raw: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Hearing extends Receiver {
  readonly got: readonly Got[];
  /** From now on requests are answered; before they are held. */
  release(): void;
}

async function hear(status: number, isHeld = false): Promise<Hearing> {
  const got: Got[] = [];
  const held = Promise.withResolvers<void>();
  if (!isHeld) held.resolve();
  const server = createServer((request, response) => {
    let raw = "";
    request.setEncoding("utf8").on("data", (text: string) => (raw += text));
    request.on("end", () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const { type, data } = JSON.parse(raw) as Pick<Got, "type" | "data">;
      got.push({ id: headers["webhook-id"] ?? "", type, data, raw, headers });
      void held.promise.then(() => response.writeHead(status).end());
    });
  });
  return { ...(await listen(server, () => server.closeAllConnections())), got, release: () => held.resolve() };
}

function verified(got: readonly Got[], secret: unknown): readonly Got[] {
  for (const { raw, headers } of got) new Webhook(String(secret)).verify(raw, headers);
  return got;
}

const ids = (got: readonly Got[], type: string, rule: string): ReadonlySet<string> =>
  new Set(got.filter((each) => each.type === type && each.data["rule"] === rule).map(({ id }) => id));

/** Until the receiver has one of the type, and of the rule. */
async function told({ got }: Hearing, type: string, rule?: string): Promise<void> {
  const holds = (): boolean =>
    got.some((each) => each.type === type && (rule ?? each.data["rule"]) === each.data["rule"]);
  await waitFor({ fact: `${type} ${rule ?? ""} to arrive`, withinMs: 50_000, holds });
}

test("of two processors one tells the operator that MEDIUM lags and that it ages, signed, and when it is over", async () => {
  const figures = { fires_at: 1, for_s: 1, resolves_below: 1, resolve_for_s: 3 };
  const env = { ALERT_RULES: JSON.stringify({ "age-medium": figures, "lag-medium": figures }) };
  await using harness = await openDistributedHarness({ gateways: 1, processors: 2, env });
  await using work = await hear(200, true);
  await using operator = await hear(200);
  const made = await harness.ask(0, "/v1/endpoints", { url: operator.url, tenant: "operator" });
  assert.equal((await harness.ask(0, "/v1/endpoints", { url: work.url })).status, 201);
  for (let index = 0; index < 30; index++) {
    assert.equal((await harness.ask(0, "/v1/events", { type: "a.b", data: { index } })).status, 202);
  }
  for (const rule of ["age-medium", "lag-medium"]) await told(operator, `posthaste.alert.${rule}`);
  work.release();
  for (const rule of ["age-medium", "lag-medium"]) {
    await told(operator, "posthaste.alert.resolved", rule);
    const got = verified(operator.got, made.body["secret"]);
    assert.equal(ids(got, `posthaste.alert.${rule}`, rule).size, 1, rule);
    assert.equal(ids(got, "posthaste.alert.resolved", rule).size, 1, rule);
    assert.equal(got.filter(({ type }) => type === `posthaste.alert.${rule}`).length, 1, rule);
  }
});

test("a tenant is told before its endpoint is disabled and when it is, and the operator with it; a restart between keeps the clock", async () => {
  using folder = openFolder();
  const env = { ENDPOINT_DISABLE_AFTER_S: "8" };
  await using failing = await hear(404);
  await using owner = await hear(200);
  await using operator = await hear(200);
  const retry = { delays_s: [0, ...Array.from({ length: 45 }, () => 1)] };
  let endpoint: Answer;
  let secret: unknown;
  {
    await using serving = await startServe(folder.path, env);
    endpoint = await call(serving.url, "/v1/endpoints", { url: failing.url, event_types: ["a.*"], retry });
    assert.equal(endpoint.status, 201);
    ({ secret } = (
      await call(serving.url, "/v1/endpoints", { url: owner.url, event_types: ["posthaste.endpoint.*"] })
    ).body);
    await call(serving.url, "/v1/endpoints", { url: operator.url, tenant: "operator" });
    assert.equal((await call(serving.url, "/v1/events", { type: "a.b", data: {} })).status, 202);
    await told(owner, "posthaste.endpoint.failing");
    serving.kill("SIGKILL");
    await serving.exited;
  }
  await using serving = await startServe(folder.path, env);
  await told(owner, "posthaste.endpoint.disabled");
  await told(operator, "posthaste.alert.endpoint-disabled");
  const got = verified(owner.got, secret);
  const id = String(endpoint.body["id"]);
  assert.deepEqual(
    [...new Set(got.map(({ type }) => type))],
    ["posthaste.endpoint.failing", "posthaste.endpoint.disabled"],
  );
  assert.equal(new Set(got.map((each) => each.id)).size, 2);
  assert.ok(got.every(({ data }) => data["endpoint_id"] === id));
  const shown = await call(serving.url, `/v1/endpoints/${id}`);
  assert.deepEqual([shown.body["status"], shown.body["status_reason"]], ["disabled", got.at(-1)?.data["reason"]]);
});

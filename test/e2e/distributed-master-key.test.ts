/**
 * The master key is changed while events are published and delivered: every program is replaced three times, the command
 * that seals anew is killed in the midst, and nobody meets an endpoint that cannot be read.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { Redis } from "ioredis";
import type { Program } from "posthaste/program.ts";
import { startProgram } from "posthaste/program.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness, prefixEnv, storesEnv } from "./distributed-harness.ts";
import { complaintOf } from "./complaint.ts";
import { openCounter, untilDelivered } from "./load-under-kills.ts";
import { call, spawnPosthaste, TEST_KEY } from "./posthaste-child.ts";

const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const [OLD, NEW] = [key(1), key(2)];
/** As docs/operations.md says. */
const STEPS = {
  before: { POSTHASTE_MASTER_KEY: OLD },
  first: { POSTHASTE_MASTER_KEY: OLD, POSTHASTE_MASTER_KEY_NEXT: NEW },
  second: { POSTHASTE_MASTER_KEY: NEW, POSTHASTE_MASTER_KEY_PREVIOUS: OLD },
  after: { POSTHASTE_MASTER_KEY: NEW },
} as const;
type Step = keyof typeof STEPS;

/** Endpoints that get nothing, so that sealing anew takes a while. */
const IDLE_TENANTS = 20;
const IDLE_OF_EACH = 50;
const IDLE = IDLE_TENANTS * IDLE_OF_EACH;
const running = new AbortController().signal;

const settings = (harness: DistributedHarness, step: Step): Readonly<Record<string, string>> => ({
  ...storesEnv(),
  ...prefixEnv(harness.prefix),
  ...STEPS[step],
  POSTHASTE_OPERATOR_KEY: TEST_KEY,
  POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8",
  STOP_NOTICE_S: "0",
});

/** Puts a program of the step beside that of the step before, which then ends. */
async function replace(harness: DistributedHarness, kind: "gateway" | "processor", step: Step): Promise<void> {
  const programs = kind === "gateway" ? harness.gateways : harness.processors;
  const old = programs[0];
  programs.push(await startProgram(kind, settings(harness, step)));
  if (old === undefined) return;
  // While both run, each reads what the other sealed.
  for (const { url } of harness.gateways) {
    const made = await call(url, "/v1/endpoints", {
      url: "http://127.0.0.1:9/",
      event_types: ["none"],
      tenant: "busy",
    });
    assert.equal(made.status, 201);
    for (const other of harness.gateways) {
      assert.equal((await call(other.url, `/v1/endpoints/${String(made.body["id"])}?tenant=busy`)).status, 200);
    }
  }
  await systemClock.sleep(300, running);
  await assertNothingUnread(old);
  programs.shift();
  assert.deepEqual(await old.end("SIGTERM"), { code: 0, signal: null }, old.printed());
}

async function assertNothingUnread({ url }: Program): Promise<void> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.doesNotMatch(metrics, /posthaste_records_damaged_total|why="unreadable"/);
  const { degraded = [] } = (await (await fetch(`${url}/readyz`)).json()) as { degraded?: readonly string[] };
  assert.deepEqual(degraded, []);
}

/** Publishes, and changes endpoints, until it is stopped. A try that meets a gateway that ends is made again. */
function publishOn(harness: DistributedHarness, receiver: string) {
  const acknowledged = new Set<string>();
  const over = new AbortController();
  const ask = async (path: string, body: unknown) => {
    for (;;) {
      const answer = await call(harness.gateways.at(-1)?.url ?? "", path, body).catch(() => null);
      if (answer !== null && answer.status !== 503) return answer;
      await systemClock.sleep(20, running);
    }
  };
  async function work(): Promise<void> {
    for (let nth = 0; !over.signal.aborted; nth++) {
      const priority = (["HIGH", "MEDIUM", "LOW"] as const)[nth % 3];
      const answer = await ask("/v1/events", { type: "order.paid", priority, data: nth, tenant: "busy" });
      assert.equal(answer.status, 202);
      acknowledged.add(String(answer.body["id"]));
      if (nth % 20 === 0) {
        const made = await ask("/v1/endpoints", { url: `${receiver}/more`, event_types: ["none"], tenant: "busy" });
        assert.equal(made.status, 201);
      }
      await systemClock.sleep(10, running);
    }
  }
  const done = work();
  return {
    acknowledged,
    async stop() {
      over.abort();
      await done;
    },
  };
}

async function createIdle(url: string): Promise<void> {
  const all = Array.from({ length: IDLE }, (_, index) => `idle${Math.floor(index / IDLE_OF_EACH)}`);
  const worker = async (): Promise<void> => {
    for (let tenant = all.shift(); tenant !== undefined; tenant = all.shift()) {
      const { status } = await call(url, "/v1/endpoints", { url: "http://127.0.0.1:9/", tenant });
      assert.equal(status, 201);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** Kills the command as soon as it has written something. */
async function killReseal(harness: DistributedHarness): Promise<void> {
  using redis = Object.assign(new Redis(storesEnv().REDIS_URL), {
    [Symbol.dispose]() {
      redis.disconnect();
    },
  });
  await once(redis, "ready");
  const keyOf = (nth: number) => `${harness.prefix}:{s0}directory:version:idle${nth}`;
  const versions = () => redis.mget(Array.from({ length: IDLE_TENANTS }, (_, nth) => keyOf(nth)));
  const before = await versions();
  assert.ok(before.every((version) => version !== null));
  await using child = spawnPosthaste(["reseal"], settings(harness, "second"));
  while (String(await versions()) === String(before)) await systemClock.sleep(0, running);
  child.kill("SIGKILL");
  assert.deepEqual(await child.exited, { code: null, signal: "SIGKILL" });
}

async function reseal(harness: DistributedHarness, words: readonly string[] = []) {
  await using child = spawnPosthaste(["reseal", ...words], settings(harness, "second"));
  const { code } = await child.exited;
  return { code, printed: child.printed.stdout, complaint: child.printed.stderr };
}

test("a new master key reaches every program and every endpoint, and all that is published meanwhile arrives", async () => {
  await using counter = await openCounter();
  await using harness = await openDistributedHarness({ gateways: 0, processors: 0 });
  for (const kind of ["gateway", "processor"] as const) await replace(harness, kind, "before");
  const url = harness.gateways[0]?.url ?? "";
  await createIdle(url);
  for (const path of ["/a", "/b"]) {
    const made = await call(url, "/v1/endpoints", {
      url: `${counter.url}${path}`,
      event_types: ["order.*"],
      tenant: "busy",
    });
    assert.equal(made.status, 201);
  }
  const publishing = publishOn(harness, counter.url);
  for (const step of ["first", "second"] as const) {
    // The harder order: what a new gateway seals is read by old processors.
    for (const kind of ["gateway", "processor"] as const) await replace(harness, kind, step);
  }
  // Not yet: the previous key is needed, and the sentence says until when.
  assert.match(
    await complaintOf(settings(harness, "after")),
    /POSTHASTE_MASTER_KEY_PREVIOUS too, until `posthaste reseal`/,
  );
  await killReseal(harness);
  const left = Number(/, (\d+) to be sealed/.exec((await reseal(harness, ["--dry-run"])).printed)?.[1]);
  assert.ok(left > 0 && left < IDLE, `${left} were left`);
  const { code, printed, complaint } = await reseal(harness);
  assert.deepEqual([code, complaint], [0, ""]);
  assert.match(printed, /Nothing is left under the previous key/);
  for (const kind of ["processor", "gateway"] as const) await replace(harness, kind, "after");
  await publishing.stop();
  assert.deepEqual(await untilDelivered(publishing.acknowledged, counter), []);
  assert.ok(publishing.acknowledged.size > 50, `${publishing.acknowledged.size} were published`);
  for (const program of [...harness.gateways, ...harness.processors]) await assertNothingUnread(program);
  assert.match(await complaintOf(settings(harness, "before")), /POSTHASTE_MASTER_KEY is not the key/);
});

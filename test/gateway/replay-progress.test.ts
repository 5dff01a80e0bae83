/** A replay always goes on: behind what it passes over, within one millisecond, and after its time is over. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { REPLAY_MAX } from "@posthaste/gateway/resources/replay.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS, sampleDeadLetter, sampleEnvelope, sampleRecord } from "../support/samples.ts";

const GONE = "ep_01kg9bqf00bbbbbbbbbbbbbbbb";

async function createEndpoint(harness: GatewayHarness): Promise<string> {
  const answer = await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } });
  return textAt(answer.json, "id");
}

/** `count` dead letters of an endpoint, all of one time. */
async function addDeadLetters(
  { drivers }: GatewayHarness,
  endpointId: string,
  count: number,
  parts: Partial<DeadLetter> & { readonly acceptedAtMs?: number } = {},
): Promise<void> {
  const { acceptedAtMs = START_MS, ...rest } = parts;
  await drivers.deadLetters.append(
    Array.from({ length: count }, (_, index) => {
      const id = `evt_${endpointId.slice(-4)}_${acceptedAtMs}_${index}`;
      const envelope = sampleEnvelope(id, { tenant: "default", acceptedAtMs });
      return sampleDeadLetter(`dlv_${id}`, { endpointId, ...rest, envelope });
    }),
  );
}

/** Every read of a list takes so long. */
function slowly(advance: () => Promise<void>) {
  return (drivers: Drivers): Drivers => ({
    ...drivers,
    deadLetters: {
      ...drivers.deadLetters,
      list: async (...args: Parameters<Drivers["deadLetters"]["list"]>) => {
        await advance();
        return drivers.deadLetters.list(...args);
      },
    },
    ledger: {
      ...drivers.ledger,
      deliveries: async (...args: Parameters<Drivers["ledger"]["deliveries"]>) => {
        await advance();
        return drivers.ledger.deliveries(...args);
      },
    },
  });
}

async function openSlow(stepMs: number): Promise<GatewayHarness> {
  const harness: GatewayHarness = await openGatewayHarness({
    limits: { requestBudgetMs: 60_000 },
    wrap: slowly(() => harness.clock.advance(stepMs)),
  });
  return harness;
}

/** Calls again with what the answer before gave, until it gives nothing; all answers. */
async function replayAll(
  harness: GatewayHarness,
  path: string,
  body: Readonly<Record<string, unknown>>,
  goOn: (json: unknown) => Readonly<Record<string, unknown>> | null,
): Promise<unknown[]> {
  const answers: unknown[] = [];
  let more: Readonly<Record<string, unknown>> | null = {};
  while (more !== null) {
    const answer = await harness.call("POST", path, { body: { rate_per_s: 1000, ...body, ...more } });
    assert.equal(answer.status, 200, answer.text);
    answers.push(answer.json);
    assert.ok(answers.length < 100, "the replay comes to an end");
    more = goOn(answer.json);
  }
  return answers;
}

function byCursor(json: unknown): { cursor: string } | null {
  const cursor = (json as { next_cursor?: string }).next_cursor;
  return cursor === undefined ? null : { cursor };
}

function byUntil(json: unknown): { until: string } | null {
  const until = at(json, "next_until");
  return typeof until === "string" ? { until } : null;
}

const sum = (answers: readonly unknown[], name: string): number =>
  answers.reduce<number>((total, json) => total + Number(at(json, name)), 0);

test("a replay by filter goes on behind any number of dead letters of deleted endpoints", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  await addDeadLetters(harness, endpointId, 5, { atMs: START_MS - 1 });
  await addDeadLetters(harness, GONE, REPLAY_MAX + 500);
  const answer = await harness.call("POST", "/v1/dead-letters/replay", { body: {} });
  const skipped = REPLAY_MAX + 500;
  assert.deepEqual(answer.json, { matched: skipped + 5, replayed: 5, skipped, dry_run: false, has_more: false });
});

test("a replay whose time ends among dead letters of deleted endpoints says where to go on", async () => {
  await using harness = await openSlow(2000);
  const endpointId = await createEndpoint(harness);
  await addDeadLetters(harness, endpointId, 5, { atMs: START_MS - 1 });
  await addDeadLetters(harness, GONE, 900);
  const answers = await replayAll(harness, "/v1/dead-letters/replay", {}, byCursor);
  assert.equal(answers.length, 4);
  assert.deepEqual([sum(answers, "replayed"), sum(answers, "skipped")], [5, 900]);
  assert.equal(at(answers.at(-1), "has_more"), false);
});

test("an endpoint's dead letters of one millisecond are replayed once each, and no next_until comes twice", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  await addDeadLetters(harness, endpointId, REPLAY_MAX + 300, { atMs: START_MS });
  await addDeadLetters(harness, endpointId, 300, { atMs: START_MS - 5, acceptedAtMs: START_MS - 10 });
  const answers = await replayAll(harness, `/v1/endpoints/${endpointId}/replay`, {}, byUntil);
  const times = answers.map((json) => at(json, "next_until"));
  assert.equal(new Set(times).size, times.length);
  assert.equal(sum(answers, "replayed"), REPLAY_MAX + 600);
  assert.equal(await harness.drivers.deadLetters.count({ tenant: null }), 0);
});

test("a dry run counts all of an endpoint's dead letters and never names a time that it was given", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = await createEndpoint(harness);
  await addDeadLetters(harness, endpointId, REPLAY_MAX + 300);
  const path = `/v1/endpoints/${endpointId}/replay`;
  const answers = await replayAll(harness, path, { dry_run: true }, byUntil);
  assert.deepEqual(answers, [{ matched: REPLAY_MAX + 300, replayed: 0, skipped: 0, dry_run: true, next_until: null }]);
});

test("an endpoint's replay passes dead letters of another time, however long that takes", async () => {
  await using harness = await openSlow(2000);
  const endpointId = await createEndpoint(harness);
  await addDeadLetters(harness, endpointId, 900);
  await addDeadLetters(harness, endpointId, 5, { atMs: START_MS - 5, acceptedAtMs: START_MS - 10 });
  const path = `/v1/endpoints/${endpointId}/replay`;
  const until = new Date(START_MS - 9).toISOString();
  const answers = await replayAll(harness, path, { until }, byCursor);
  assert.equal(answers.length, 4);
  assert.ok(answers.every((json) => at(json, "next_until") === null));
  assert.deepEqual([sum(answers, "matched"), sum(answers, "replayed")], [5, 5]);
});

test("delivered events of one millisecond are replayed once each, though the time ends within it", async () => {
  await using harness = await openSlow(2000);
  const endpointId = await createEndpoint(harness);
  const envelopes = Array.from({ length: 900 }, (_, index) => sampleEnvelope(`evt_${index}`, { tenant: "default" }));
  await harness.drivers.lanes.append(envelopes);
  harness.drivers.ledger.record(
    envelopes.map((envelope) => ({
      kind: "delivery",
      delivery: sampleRecord(envelope, { endpointId, state: "delivered" }),
    })),
  );
  const path = `/v1/endpoints/${endpointId}/replay`;
  const answers = await replayAll(harness, path, { status: "delivered" }, byCursor);
  assert.ok(answers.length > 1);
  assert.equal(sum(answers, "replayed"), 900);
  await harness.clock.advance(2000);
  const replayed = (await harness.takeDue()).map(({ members }) => members[0]?.id);
  assert.deepEqual([replayed.length, new Set(replayed).size], [900, 900]);
});

test("a cursor that no replay gave is refused, and the field is named", async () => {
  await using harness = await openGatewayHarness();
  const path = `/v1/endpoints/${await createEndpoint(harness)}/replay`;
  for (const cursor of ["", 1, "a".repeat(641)]) {
    const answer = await harness.call("POST", path, { body: { cursor } });
    assertProblem(answer, 422, "validation-failed");
    assert.equal(at(answer.json, "errors.0.pointer"), "#/cursor");
  }
  for (const [of, cursor] of [
    [path, "5.abc"],
    [path, "x y"],
    ["/v1/dead-letters/replay", "abc"],
  ] as const) {
    const refused = await harness.call("POST", of, { body: { cursor } });
    assertProblem(refused, 422, "invalid-cursor");
    assert.equal(at(refused.json, "errors.0.pointer"), "#/cursor");
  }
});

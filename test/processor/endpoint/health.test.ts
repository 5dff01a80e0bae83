/** Owners hear of their endpoints that fail: before one is disabled, when it is, and when it is well; and of what is dead. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import { troubleAfterChange } from "@posthaste/shared/domain/endpoint-trouble.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

const MINUTE_MS = 60_000;
const DISABLE_MS = 6 * 60 * MINUTE_MS;
const LIMITS = { disableAfterMs: DISABLE_MS } as const;
/** Tried for eight hours. */
const RETRY = { delays_s: [0, ...Array.from({ length: 49 }, () => 600)] };

/** `ep1` fails until told otherwise, `ops` is told. */
async function failing(wrap?: (drivers: Drivers) => Drivers): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  await harness.add(
    endpointOf("ep1", { retry: RETRY, eventTypes: ["order.*"] }),
    endpointOf("ops", { eventTypes: ["posthaste.*"] }),
    endpointOf("all"),
  );
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start({ limits: LIMITS, ...(wrap === undefined ? {} : { wrap }) });
  await harness.publish(envelopeOf("evt_1"));
  return harness;
}

interface Told {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function told(harness: ProcessorHarness, endpointId = "ops"): readonly Told[] {
  return harness.world.sent
    .filter((request) => request.endpointId === endpointId)
    .map(({ body }) => JSON.parse(body) as Told);
}

const types = (harness: ProcessorHarness): readonly string[] => told(harness).map(({ type }) => type);

/** So many sixtieths of the time after which an endpoint is disabled. */
async function pass(harness: ProcessorHarness, parts: number): Promise<void> {
  for (let minute = 0; minute < 6 * parts; minute++) await harness.clock.advance(MINUTE_MS);
}

test("the tenant is told before its endpoint is disabled and when it is; nobody else gets it", async () => {
  await using harness = await failing();
  await pass(harness, 25);
  assert.deepEqual(types(harness), []);
  await pass(harness, 15);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing"]);
  const [warning] = told(harness);
  assert.equal(warning?.data["endpoint_id"], "ep1");
  const since = Date.parse(String(warning?.data["failing_since"]));
  assert.equal(Date.parse(String(warning?.data["disables_at"])), since + DISABLE_MS);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.status, "active");
  await pass(harness, 40);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing", "posthaste.endpoint.disabled"]);
  const endpoint = await harness.drivers.directory.find(TENANT, "ep1");
  assert.equal(endpoint?.status, "disabled");
  assert.equal(endpoint?.statusReason, `no attempt succeeded since ${new Date(since).toISOString()}`);
  assert.equal(told(harness)[1]?.data["reason"], endpoint?.statusReason);
  assert.deepEqual(
    told(harness, "all").map(({ type }) => type),
    ["order.paid"],
  );
});

test("a restart does not stop the clock, and does not tell twice", async () => {
  await using harness = await failing();
  await pass(harness, 40);
  harness.crash();
  harness.start({ limits: LIMITS });
  await pass(harness, 40);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing", "posthaste.endpoint.disabled"]);
});

test("an endpoint that answers again after its tenant was told is told of as recovered, once", async () => {
  await using harness = await failing();
  await pass(harness, 40);
  harness.world.script("ep1", () => ({ status: 200 }));
  await pass(harness, 10);
  await harness.publish(envelopeOf("evt_2"), envelopeOf("evt_3"));
  await pass(harness, 10);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing", "posthaste.endpoint.recovered"]);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.trouble, null);
});

test("one failure after its owner enabled it does not disable it again", async () => {
  await using harness = await failing();
  await pass(harness, 80);
  const before = await harness.drivers.directory.find(TENANT, "ep1");
  const trouble = troubleAfterChange(before?.trouble ?? null, Math.floor(harness.clock.now()));
  await harness.change("ep1", { status: "active", statusReason: null, statusSinceMs: null, trouble });
  await pass(harness, 20);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.status, "active");
});

/** The process dies in the moment in which `append` of a notice was called, before or after it was kept. */
function dyingAtNotice(die: () => void, isKept: boolean): (drivers: Drivers) => Drivers {
  let isDead = false;
  return (drivers) => ({
    ...drivers,
    lanes: {
      ...drivers.lanes,
      async append(envelopes) {
        if (isDead || envelopes[0]?.type !== "posthaste.endpoint.disabled") return drivers.lanes.append(envelopes);
        isDead = true;
        if (isKept) await drivers.lanes.append(envelopes);
        die();
        return new Promise<void>(() => undefined);
      },
    },
  });
}

for (const isKept of [false, true]) {
  test(`a process that dies ${isKept ? "after" : "before"} the notice is kept leaves one notice`, async () => {
    const dying = { isNow: false };
    await using harness = await failing(dyingAtNotice(() => void (dying.isNow = true), isKept));
    for (let minute = 0; !dying.isNow; minute++) {
      assert.ok(minute < 1000, "a notice is due by then");
      await harness.clock.advance(MINUTE_MS);
    }
    harness.crash();
    assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.trouble?.notice?.isSent, false);
    harness.start({ limits: LIMITS });
    await pass(harness, 5);
    assert.deepEqual(types(harness), ["posthaste.endpoint.failing", "posthaste.endpoint.disabled"]);
    assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.trouble?.notice?.isSent, true);
  });
}

test("a lane that is full costs the notice and nothing else", async () => {
  const full = (drivers: Drivers): Drivers => ({
    ...drivers,
    lanes: {
      ...drivers.lanes,
      append: (envelopes) =>
        envelopes[0]?.type.startsWith("posthaste.") === true
          ? Promise.reject(new PosthasteError("overloaded", "The lane is full."))
          : drivers.lanes.append(envelopes),
    },
  });
  await using harness = await failing(full);
  await pass(harness, 100);
  assert.deepEqual(types(harness), []);
  const endpoint = await harness.drivers.directory.find(TENANT, "ep1");
  assert.equal(endpoint?.status, "active", "nobody is disabled unwarned");
  assert.equal(
    (await harness.drivers.ledger.attempts({ tenant: TENANT, endpointId: "ep1" }, 1000, null)).rows.length > 10,
    true,
  );
});

test("a 410 is told, too", async () => {
  await using harness = await failing();
  harness.world.script("ep1", () => ({ status: 410 }));
  await pass(harness, 3);
  assert.deepEqual(types(harness).toSorted(), ["posthaste.delivery.dead", "posthaste.endpoint.disabled"]);
  const disabled = told(harness).find(({ type }) => type === "posthaste.endpoint.disabled");
  assert.equal(disabled?.data["reason"], "the receiver answered 410 Gone");
});

test("a dead delivery is told to who asked for it; one of our own events is not, so that nothing goes round", async () => {
  await using harness = await openProcessorHarness();
  const oneTry = { delays_s: [0] };
  await harness.add(
    endpointOf("ep1", { retry: oneTry, eventTypes: ["order.*"] }),
    endpointOf("ops", { retry: oneTry, eventTypes: ["posthaste.delivery.dead"] }),
  );
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.world.script("ops", () => ({ status: 500 }));
  harness.start({ limits: LIMITS });
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  await harness.publish(envelopeOf("evt_1", "medium", { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }));
  await pass(harness, 5);
  const [dead, ...others] = told(harness);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [dead?.type, dead?.data["event_id"], dead?.data["endpoint_id"]],
    ["posthaste.delivery.dead", "evt_1", "ep1"],
  );
  assert.deepEqual([dead?.data["event_type"], dead?.data["trace_id"]], ["order.paid", traceId]);
  assert.equal((await harness.depths()).dead, 2);
});

test("an endpoint for notices that fails itself is told of once each, and disabled", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ops", { retry: RETRY, eventTypes: ["posthaste.*", "order.*"] }));
  harness.world.script("ops", () => ({ status: 500 }));
  harness.start({ limits: LIMITS });
  await harness.publish(envelopeOf("evt_1"));
  await pass(harness, 200);
  assert.equal((await harness.drivers.directory.find(TENANT, "ops"))?.status, "disabled");
  const { rows } = await harness.drivers.ledger.events({ tenant: TENANT }, 100, null);
  assert.deepEqual(rows.map(({ envelope }) => envelope.type).toSorted(), [
    "order.paid",
    "posthaste.endpoint.disabled",
    "posthaste.endpoint.failing",
  ]);
});

test("without anybody who takes it no notice is made", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: RETRY }), endpointOf("other", { tenant: OPERATOR_TENANT }));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start({ limits: LIMITS });
  await harness.publish(envelopeOf("evt_1"));
  await pass(harness, 100);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.status, "disabled");
  const { rows } = await harness.drivers.ledger.events({ tenant: TENANT }, 100, null);
  assert.equal(rows.length, 1);
});

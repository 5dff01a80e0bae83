/** A process that dies between noticing, telling and remembering that it told: the owner hears of it, of each thing once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { isOwnType } from "@posthaste/shared/domain/own-event.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { LIMITS, failing, pass, told } from "../../support/notices.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, envelopeOf } from "../../support/samples.ts";

/** Of a thing to be told: it is noted, then sent as an event, then remembered as sent. */
type Step = `${"note" | "send" | "remember"} ${"failing" | "disabled" | "recovered" | "dead"}` | "other";

function stepOf(now: Endpoint, after: Endpoint): Step {
  const [before, notice] = [now.trouble?.notice ?? null, after.trouble?.notice ?? null];
  if (notice?.isSent === false && notice.atMs !== before?.atMs) return `note ${notice.kind}`;
  return before?.isSent === false && notice?.isSent !== false ? `remember ${before.kind}` : "other";
}

/** The process dies at `step`, before it is kept or after: no write of it is answered any more. */
function dyingAt(step: Step, isKept: boolean, die: () => void): (drivers: Drivers) => Drivers {
  let isDead = false;
  const never = (): Promise<never> => new Promise(() => undefined);
  async function write<Result>(steps: readonly Step[], make: () => Promise<Result>): Promise<Result> {
    if (isDead) return never();
    if (!steps.includes(step)) return make();
    isDead = true;
    if (isKept) await make();
    die();
    return never();
  }
  return (drivers) => ({
    ...drivers,
    directory: {
      ...drivers.directory,
      async update(tenant, endpointId, change) {
        const now = await drivers.directory.find(tenant, endpointId);
        const steps = now === null ? [] : [stepOf(now, change(now))];
        return write(steps, () => drivers.directory.update(tenant, endpointId, change));
      },
    },
    lanes: {
      ...drivers.lanes,
      append: (envelopes) =>
        write(
          envelopes.filter(({ type }) => isOwnType(type)).map(({ type }) => `send ${type.split(".").at(-1)}` as Step),
          () => drivers.lanes.append(envelopes),
        ),
    },
    deadLetters: {
      ...drivers.deadLetters,
      append: (letters) =>
        write(
          letters.map(({ state }) => (state === "dead" ? "note dead" : "other")),
          () => drivers.deadLetters.append(letters),
        ),
    },
  });
}

async function dieAndRestart(harness: ProcessorHarness, death: { readonly isNow: boolean }): Promise<void> {
  for (let part = 0; !death.isNow; part += 1 / 6) {
    assert.ok(part < 200, "it comes to that step by then");
    await pass(harness, 1 / 6);
  }
  harness.crash();
  harness.start({ limits: LIMITS });
}

/** What the owner was told, each once; a repeat has the id of the first. */
function things(harness: ProcessorHarness): readonly string[] {
  const seen = new Map(harness.world.idsTo("ops").map((id, index) => [id, told(harness)[index]?.type ?? ""]));
  return [...seen.values()].map((type) => type.slice("posthaste.".length));
}

/** Why what is told is told, and what the owner has heard in the end. */
const stories = {
  "fails for long": {
    steps: ["note failing", "send failing", "remember failing", "note disabled", "send disabled", "remember disabled"],
    begin: () => Promise.resolve(),
    expected: ["endpoint.failing", "endpoint.disabled"],
  },
  "is well again": {
    steps: ["note recovered", "send recovered", "remember recovered"],
    begin: async (harness) => {
      await pass(harness, 40);
      harness.world.script("ep1", () => ({ status: 200 }));
    },
    expected: ["endpoint.failing", "endpoint.recovered"],
  },
  "is gone": {
    steps: ["note disabled", "send disabled", "remember disabled", "note dead", "send dead"],
    begin: (harness) => Promise.resolve(harness.world.script("ep1", () => ({ status: 410 }))),
    expected: ["endpoint.disabled"],
  },
} as const satisfies Record<string, Story>;

interface Story {
  readonly steps: readonly Step[];
  readonly begin: (harness: ProcessorHarness) => Promise<void>;
  readonly expected: readonly string[];
}

for (const [why, { steps, begin, expected }] of Object.entries<Story>(stories)) {
  for (const step of steps) {
    for (const isKept of [false, true]) {
      test(`an endpoint ${why}: a death ${isKept ? "after" : "before"} the step "${step}" is kept costs no notice, and repeats none for ever`, async () => {
        const death = { isNow: false };
        await using harness = await failing(dyingAt(step, isKept, () => void (death.isNow = true)));
        await begin(harness);
        await dieAndRestart(harness, death);
        await pass(harness, 80);
        const { rows } = await harness.drivers.deadLetters.list({ tenant: TENANT }, 10, null);
        const [endpointThings, deadThings] = [
          things(harness).filter((thing) => thing.startsWith("endpoint.")),
          things(harness).filter((thing) => thing === "delivery.dead"),
        ];
        assert.deepEqual(endpointThings, expected);
        // One that was told of as dead is held for the disabled endpoint when its last step is repeated.
        if (rows.some(({ state }) => state === "dead")) assert.equal(deadThings.length, 1);
        const count = told(harness).length;
        await harness.publish(envelopeOf("evt_later"));
        await pass(harness, 20);
        assert.equal(told(harness).length, count, "what was told is not told again");
        const { notice } = (await harness.drivers.directory.find(TENANT, "ep1"))?.trouble ?? { notice: null };
        assert.notEqual(notice?.isSent, false);
      });
    }
  }
}

test("a notice that a death left behind is sent although the owner has paused the endpoint meanwhile", async () => {
  const death = { isNow: false };
  await using harness = await failing(dyingAt("note failing", true, () => void (death.isNow = true)));
  for (let part = 0; !death.isNow; part += 1 / 6) await pass(harness, 1 / 6);
  harness.crash();
  await harness.change("ep1", { status: "paused" });
  harness.start({ limits: LIMITS });
  await harness.publish(envelopeOf("evt_later"));
  await pass(harness, 5);
  assert.deepEqual(things(harness), ["endpoint.failing"]);
});

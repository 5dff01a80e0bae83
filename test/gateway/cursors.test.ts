/** Cursors over the API, of every list in both sets: they go on where a page ended, say nothing, and are refused elsewhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { changesOf } from "../contract/cursors.contract.ts";
import { openModelHarness } from "../contract/distributed-harness.ts";
import type { Answer, GatewayHarness } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { ENDPOINT_ID, START_MS, sampleDeadLetter, sampleEndpoint, sampleEnvelope } from "../support/samples.ts";
import { sampleKey, sampleRecord } from "../support/samples.ts";

const TENANTS = ["acme", "beta"] as const;
type Tenant = (typeof TENANTS)[number];
const ENDPOINT_OF: Record<Tenant, string> = { acme: ENDPOINT_ID, beta: `${ENDPOINT_ID.slice(0, -1)}z` };
const ROWS = 3;

/** Up to where the cursor is given. */
const lists: readonly ((tenant: Tenant) => string)[] = [
  (tenant) => `/v1/events?tenant=${tenant}`,
  (tenant) => `/v1/endpoints?tenant=${tenant}`,
  (tenant) => `/v1/endpoints/${ENDPOINT_OF[tenant]}/attempts?tenant=${tenant}`,
  (tenant) => `/v1/dead-letters?tenant=${tenant}`,
  (tenant) => `/v1/api-keys?tenant=${tenant}`,
];
/** The place among them of the one list that is of an endpoint. */
const ATTEMPTS = 2;
const QUARANTINE = "/v1/quarantine?limit=1";

interface Opened extends AsyncDisposable {
  readonly harness: GatewayHarness;
  readonly drivers: Drivers;
}

async function openEmbedded(): Promise<Opened> {
  const harness = await openGatewayHarness();
  return { harness, drivers: harness.drivers, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
}

/** The callers' keys lie beside the set, so that its list has those of the test alone. */
async function openDistributed(): Promise<Opened> {
  const model = await openModelHarness();
  const { drivers } = model;
  const harness = await openGatewayHarness({
    wrap: ({ apiKeys }) => ({ ...drivers, apiKeys: { ...drivers.apiKeys, find: apiKeys.find } }),
  });
  return {
    harness,
    drivers,
    async [Symbol.asyncDispose]() {
      await harness[Symbol.asyncDispose]();
      await model[Symbol.asyncDispose]();
    },
  };
}

function idOf(prefix: string, tenant: Tenant, index: number): string {
  return `${prefix}_${`${tenant.slice(0, 1)}${index}`.padStart(26, "0")}`;
}

async function fill({ lanes, ledger, deadLetters, directory, apiKeys, flush }: Drivers): Promise<void> {
  for (const tenant of TENANTS) {
    await directory.create(sampleEndpoint(ENDPOINT_OF[tenant], { tenant }));
    for (let index = 0; index < ROWS; index++) {
      const atMs = START_MS + index;
      const envelope = sampleEnvelope(idOf("evt", tenant, index), { tenant, acceptedAtMs: atMs });
      await lanes.append([envelope]);
      const delivery = sampleRecord(envelope, { endpointId: ENDPOINT_OF[tenant] });
      ledger.record([{ kind: "delivery", delivery }]);
      await deadLetters.append([sampleDeadLetter(idOf("dlv", tenant, index), { atMs, envelope })]);
      await directory.create(sampleEndpoint(idOf("ep", tenant, index), { tenant, createdAtMs: atMs }));
      await apiKeys.save(sampleKey(idOf("key", tenant, index), { tenant, createdAtMs: atMs }));
    }
  }
  await flush();
}

/** The same words, whatever the list and whatever is wrong with the cursor. */
function assertRefused(answer: Answer): void {
  assertProblem(answer, 422, "invalid-cursor");
  assert.match(textAt(answer.json, "detail"), /`cursor`.*Give `next_cursor` back as it was, or begin again without/);
  const detail = "must be next_cursor of this list's answer before, as it was";
  assert.deepEqual(at(answer.json, "errors"), [{ parameter: "cursor", detail }]);
}

for (const [name, open] of [
  ["embedded", openEmbedded],
  ["distributed", openDistributed],
] as const) {
  test(`${name}: a cursor of each list goes on, and is refused when changed, cut, of another list, tenant or endpoint`, async () => {
    await using opened = await open();
    const { harness, drivers } = opened;
    await fill(drivers);
    const given: string[] = [];
    for (const list of lists) {
      const first = await harness.call("GET", `${list("acme")}&limit=1`);
      const cursor = textAt(first.json, "next_cursor");
      const second = await harness.call("GET", `${list("acme")}&limit=1&cursor=${cursor}`);
      assert.equal(second.status, 200, second.text);
      assert.notDeepEqual(at(second.json, "data"), at(first.json, "data"));
      given.push(cursor);
      assertRefused(await harness.call("GET", `${list("beta")}&cursor=${cursor}`));
      assertRefused(await harness.call("GET", `${list("acme")}&cursor=${cursor.slice(0, -4)}`));
      for (const changed of changesOf(cursor).filter((_, index) => index % 61 === 0)) {
        assertRefused(await harness.call("GET", `${list("acme")}&cursor=${encodeURIComponent(changed)}`));
      }
    }
    for (const [place, path] of [...lists.map((list) => list("acme")), QUARANTINE].entries()) {
      const foreign = given.filter((_, of) => of !== place);
      for (const cursor of [...foreign, "", "x", "%00", "e30", "-1", "a".repeat(2000), "%F0%9F%98%80"]) {
        assertRefused(await harness.call("GET", `${path}&cursor=${cursor}`));
      }
    }
    const ofAnother = `/v1/endpoints/${idOf("ep", "acme", 0)}/attempts?tenant=acme`;
    assertRefused(await harness.call("GET", `${ofAnother}&cursor=${given[ATTEMPTS] ?? ""}`));
  });

  test(`${name}: the cursor of the API keys says nothing of their hashes, and pages go on across a removal`, async () => {
    await using opened = await open();
    const { harness, drivers } = opened;
    await fill(drivers);
    const first = await harness.call("GET", "/v1/api-keys?tenant=acme&limit=1");
    const cursor = textAt(first.json, "next_cursor");
    const { hash } = sampleKey(idOf("key", "acme", 2));
    for (const read of [cursor, Buffer.from(cursor, "base64url").toString("latin1")]) {
      assert.equal(read.includes(hash), false, read);
    }
    await drivers.apiKeys.revoke("acme", idOf("key", "acme", 1), START_MS);
    const second = await harness.call("GET", `/v1/api-keys?tenant=acme&cursor=${cursor}`);
    assert.deepEqual(
      [at(second.json, "data.0.id"), at(second.json, "data.1.id")],
      [idOf("key", "acme", 1), idOf("key", "acme", 0)],
    );
    assert.equal(at(second.json, "next_cursor"), null);
  });
}

/** The catalogue of event types: what may be written, what of it is checked when events come, and where it is shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const SCHEMA = {
  type: "object",
  required: ["id"],
  properties: { id: { type: "string" }, total: { type: "integer", minimum: 0 } },
  additionalProperties: false,
};
const PAID = { description: "An invoice of ours was paid.", schema: SCHEMA, example: { id: "inv_1", total: 1200 } };
const GOOD = { id: "inv_1", total: 5 };
const BAD = { id: 7, totl: 1 };

async function openListed(options: Parameters<typeof openGatewayHarness>[0] = {}): Promise<GatewayHarness> {
  const harness = await openGatewayHarness(options);
  const put = await harness.call("PUT", "/v1/event-types/invoice.paid", { body: PAID });
  assert.equal(put.status, 201, put.text);
  return harness;
}

const pointersOf = (json: unknown, path = "errors"): unknown[] =>
  (at(json, path) as { pointer?: string }[]).map(({ pointer }) => pointer);

test("a type is created, replaced, listed, shown and deleted, and keeps the time of its creation", async () => {
  await using harness = await openListed();
  const created = (await harness.call("GET", "/v1/event-types/invoice.paid")).json;
  assert.deepEqual(created, {
    name: "invoice.paid",
    ...PAID,
    deprecated: false,
    created_at: textAt(created, "created_at"),
    updated_at: textAt(created, "created_at"),
  });
  await harness.clock.advance(1000);
  const replaced = await harness.call("PUT", "/v1/event-types/invoice.paid", { body: { deprecated: true } });
  assert.equal(replaced.status, 200);
  assert.deepEqual(replaced.json, {
    name: "invoice.paid",
    description: null,
    schema: null,
    deprecated: true,
    created_at: textAt(created, "created_at"),
    updated_at: new Date(Date.parse(textAt(created, "created_at")) + 1000).toISOString(),
  });
  for (const name of ["a", "zz", "b.c"]) await harness.call("PUT", `/v1/event-types/${name}`, { body: {} });
  const first = (await harness.call("GET", "/v1/event-types?limit=3")).json;
  const next = (await harness.call("GET", `/v1/event-types?cursor=${textAt(first, "next_cursor")}`)).json;
  const names = [first, next].flatMap((page) => (at(page, "data") as { name: string }[]).map(({ name }) => name));
  assert.deepEqual([...names, at(next, "next_cursor")], ["a", "b.c", "invoice.paid", "zz", null]);
  assert.equal((await harness.call("DELETE", "/v1/event-types/invoice.paid")).status, 204);
  for (const method of ["GET", "DELETE"]) {
    assertProblem(await harness.call(method, "/v1/event-types/invoice.paid"), 404, "not-found");
  }
});

test("what cannot be understood or does not fit is refused by its place", async () => {
  await using harness = await openGatewayHarness();
  const put = (body: object, name = "a") => harness.call("PUT", `/v1/event-types/${name}`, { body });
  for (const [body, pointer] of [
    [{ schema: { $schema: "http://json-schema.org/draft-07/schema#" } }, "#/schema/$schema"],
    [{ schema: { properties: { a: { pattern: "(" } } } }, "#/schema/properties/a/pattern"],
    [{ schema: { properties: { a: { pattern: "^(?=b)" } } } }, "#/schema/properties/a/pattern"],
    [{ schema: { items: { $ref: "https://elsewhere.example/schema" } } }, "#/schema/items/$ref"],
    [{ schema: { required: "id" } }, "#/schema/required"],
    [{ schema: { allOf: [{ $ref: "#" }] } }, "#/schema"],
    [{ schema: [] }, "#/schema"],
    [{ schema: SCHEMA, example: { id: "a", total: -1 } }, "#/example/total"],
    [{ example: "x".repeat(17_000) }, "#/example"],
    [{ schema: { description: "x".repeat(33_000) } }, "#/schema"],
    [{ titel: "a" }, "#/titel"],
  ] as const) {
    const answer = await put(body);
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, pointer.replaceAll("$", "%24"));
  }
  const huge = await harness.call("PUT", "/v1/event-types/a", { body: '{"example":1e400}' });
  assertNames(huge, "#/example");
  assertNames(await put({}, "posthaste.test"), "name");
  assertNames(await put({}, "a%20b"), "name");
  assert.deepEqual(at((await harness.call("GET", "/v1/event-types")).json, "data"), []);
});

test("an event of the type must fit its schema: nothing of it is accepted otherwise, and no value is said again", async () => {
  await using harness = await openListed();
  const publish = (data: unknown) => harness.call("POST", "/v1/events", { body: { type: "invoice.paid", data } });
  assert.equal((await publish(GOOD)).status, 202);
  const refused = await publish({ ...BAD, id: ["SECRET"] });
  assertProblem(refused, 422, "validation-failed");
  assert.deepEqual(pointersOf(refused.json), ["#/data/id", "#/data/totl"]);
  assert.doesNotMatch(refused.text, /SECRET/);
  const many = await publish(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 1])));
  assert.equal((at(many.json, "errors") as unknown[]).length, 20);
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("what is refused leaves the idempotency key and the id free", async () => {
  await using harness = await openListed();
  const headers = { "idempotency-key": "k" };
  const body = { type: "invoice.paid", id: "own", data: BAD };
  assert.equal((await harness.call("POST", "/v1/events", { headers, body })).status, 422);
  const again = await harness.call("POST", "/v1/events", { headers, body: { ...body, data: GOOD } });
  assert.equal(again.status, 202, again.text);
});

/** From now on the type's data must be another, or the type is gone. */
const CHANGES = [
  ["a tightened schema", (harness: GatewayHarness) => tighten(harness)],
  ["a type that is listed no more", (harness) => harness.call("DELETE", "/v1/event-types/invoice.paid")],
] as const satisfies [string, (harness: GatewayHarness) => Promise<unknown>][];

const tighten = (harness: GatewayHarness) =>
  harness.call("PUT", "/v1/event-types/invoice.paid", { body: { schema: { required: ["currency"] } } });

const CLOUD_EVENT = { specversion: "1.0", id: "1", source: "/shop", type: "invoice.paid" };
const FORMS: Record<string, { readonly headers: Record<string, string>; readonly body: unknown }> = {
  "with a key": { headers: { "idempotency-key": "k" }, body: { type: "invoice.paid", data: GOOD } },
  "with an id of its own": { headers: {}, body: { type: "invoice.paid", id: "own", data: GOOD } },
  "with both": { headers: { "idempotency-key": "k" }, body: { type: "invoice.paid", id: "own", data: GOOD } },
  "as a CloudEvent": {
    headers: { "content-type": "application/cloudevents+json" },
    body: { ...CLOUD_EVENT, data: GOOD },
  },
  "as a CloudEvent in headers": {
    headers: Object.fromEntries(Object.entries(CLOUD_EVENT).map(([name, value]) => [`ce-${name}`, value])),
    body: GOOD,
  },
};

for (const [change, make] of CHANGES) {
  test(`a repeat of what was accepted is answered as such after ${change}; anything else is refused`, async () => {
    for (const [form, { headers, body }] of Object.entries(FORMS)) {
      await using harness = await openListed({ catalogue: { taken: "listed", isShown: true } });
      const publish = (more: object = {}, given: unknown = body) =>
        harness.call("POST", "/v1/events", { headers: { ...headers, ...more }, body: given });
      const first = await publish();
      assert.equal(first.status, 202, first.text);
      await make(harness);
      const again = await publish();
      assert.deepEqual([again.status, again.text], [202, first.text], form);
      assert.equal(again.headers.get("idempotent-replayed"), "true", form);
      const other = form.includes("headers") ? { id: "inv_2" } : { ...(body as object), data: { id: "inv_2" } };
      assertProblem(await publish({}, other), 422, "validation-failed");
      assert.equal((await harness.takeLane("medium")).length, 1, form);
    }
  });
}

test("a repeat by an id that was accepted has its answer, whatever its key; a key alone that is new has none", async () => {
  await using harness = await openListed();
  const body = { type: "invoice.paid", id: "own", data: GOOD };
  const first = await harness.call("POST", "/v1/events", { body });
  await tighten(harness);
  const again = await harness.call("POST", "/v1/events", { headers: { "idempotency-key": "later" }, body });
  assert.deepEqual([again.status, again.text], [202, first.text]);
  const anew = { type: "invoice.paid", data: GOOD };
  const refused = await harness.call("POST", "/v1/events", { headers: { "idempotency-key": "later" }, body: anew });
  assertProblem(refused, 422, "validation-failed");
});

test("what was begun and never answered is taken up by its repeat after the schema was tightened, as the same event", async () => {
  let isAway = true;
  await using harness = await openListed({
    wrap: (drivers) => ({
      ...drivers,
      lanes: {
        ...drivers.lanes,
        append: async (envelopes) => {
          await drivers.lanes.append(envelopes);
          if (isAway) throw new PosthasteError("store-unavailable", "It was appended, and nobody knows.");
        },
      },
    }),
  });
  const request = { headers: { "idempotency-key": "k" }, body: { type: "invoice.paid", data: GOOD } };
  assert.equal((await harness.call("POST", "/v1/events", request)).status, 503);
  await tighten(harness);
  isAway = false;
  assert.equal((await harness.call("POST", "/v1/events", request)).status, 202);
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("in a batch that is repeated, events with ids that were accepted are answered as such; without a key the others are refused", async () => {
  await using harness = await openListed();
  const [own, nameless, fresh] = [{ id: "own" }, {}, { id: "fresh" }].map((parts) => ({
    type: "invoice.paid",
    data: GOOD,
    ...parts,
  }));
  const first = await harness.call("POST", "/v1/events/batch", { body: { events: [own, nameless] } });
  const headers = { "idempotency-key": "k" };
  const kept = await harness.call("POST", "/v1/events/batch", { headers, body: { events: [nameless] } });
  await tighten(harness);
  const again = await harness.call("POST", "/v1/events/batch", { body: { events: [nameless, own, fresh] } });
  assert.equal(at(again.json, "data.0.status"), 422);
  assert.equal(at(again.json, "data.1.id"), at(first.json, "data.0.id"));
  assert.equal(at(again.json, "data.1.idempotent_replayed"), true);
  assert.deepEqual(pointersOf(again.json, "data.2.problem.errors"), ["#/events/2/data/currency"]);
  const repeated = await harness.call("POST", "/v1/events/batch", { headers, body: { events: [nameless] } });
  assert.deepEqual([repeated.status, repeated.text], [200, kept.text]);
});

test("an event with a key asks its claim once, whether the catalogue takes it or not", async () => {
  const asked: string[] = [];
  await using harness = await openListed({
    wrap: (drivers) => ({
      ...drivers,
      claims: {
        ...drivers.claims,
        claim: (request) => (asked.push("claim"), drivers.claims.claim(request)),
        claimAgain: (request) => (asked.push("claimAgain"), drivers.claims.claimAgain(request)),
      },
    }),
  });
  const publish = (data: unknown, headers = {}) =>
    harness.call("POST", "/v1/events", { headers, body: { type: "invoice.paid", data } });
  await publish(GOOD, { "idempotency-key": "good" });
  await publish(BAD, { "idempotency-key": "bad" });
  await publish(BAD);
  assert.deepEqual(asked, ["claim", "claimAgain"]);
});

test("in a batch each event answers for itself, with its place in the whole", async () => {
  await using harness = await openListed();
  const events = [BAD, GOOD].map((data) => ({ type: "invoice.paid", data }));
  const answer = await harness.call("POST", "/v1/events/batch", { body: { events } });
  assert.equal(at(answer.json, "data.0.status"), 422);
  assert.deepEqual(pointersOf(answer.json, "data.0.problem.errors"), ["#/events/0/data/id", "#/events/0/data/totl"]);
  assert.equal(at(answer.json, "data.1.status"), 202);
});

test("data of CloudEvents is held to it in both forms", async () => {
  await using harness = await openListed();
  const attributes = { specversion: "1.0", id: "1", source: "/shop", type: "invoice.paid" };
  const structured = (data: unknown) =>
    harness.call("POST", "/v1/events", {
      headers: { "content-type": "application/cloudevents+json" },
      body: { ...attributes, data },
    });
  assert.deepEqual(pointersOf((await structured(BAD)).json), ["#/data/id", "#/data/totl"]);
  const fields = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]));
  const binary = (data: unknown) => harness.call("POST", "/v1/events", { headers: fields, body: data });
  assert.deepEqual(pointersOf((await binary(BAD)).json), ["#/id", "#/totl"]);
  assert.equal((await structured(GOOD)).status, 202);
  assert.equal((await binary(GOOD)).status, 202);
});

test("types that are not listed are taken, or refused by name where the operator says so", async () => {
  await using open = await openListed();
  assert.equal((await open.call("POST", "/v1/events", { body: { type: "other", data: 1 } })).status, 202);
  await using closed = await openListed({ catalogue: { taken: "listed", isShown: true } });
  const refused = await closed.call("POST", "/v1/events", { body: { type: "other", data: 1 } });
  assertProblem(refused, 422, "validation-failed");
  assertNames(refused, "#/type");
  const headers = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "other" };
  assertNames(await closed.call("POST", "/v1/events", { headers, body: 1 }), "ce-type");
  assert.equal((await closed.call("POST", "/v1/events", { body: { type: "invoice.paid", data: GOOD } })).status, 202);
});

test("while no catalogue is known, nothing is refused", async () => {
  await using harness = await openGatewayHarness({
    catalogue: { taken: "listed", isShown: true },
    wrap: (drivers) => ({ ...drivers, eventTypes: { ...drivers.eventTypes, known: () => Promise.resolve(null) } }),
  });
  assert.equal((await harness.call("POST", "/v1/events", { body: { type: "other", data: 1 } })).status, 202);
});

test("a test event of a listed type carries its example, of any other our own words", async () => {
  await using harness = await openListed();
  const endpoint = await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } });
  const path = `/v1/endpoints/${textAt(endpoint.json, "id")}/test`;
  for (const body of [{ type: "invoice.paid" }, { type: "other" }, {}]) {
    assert.equal((await harness.call("POST", path, { body })).status, 202);
  }
  const due = await harness.takeDue();
  const bodies = due.flatMap(({ members }) => members).map((member) => new TextDecoder().decode(member.body));
  const data = bodies.map((text) => at(JSON.parse(text), "data"));
  assert.deepEqual(
    data.filter((each) => at(each, "id") === "inv_1"),
    [PAID.example],
  );
  assert.equal(data.filter((each) => at(each, "message") !== undefined).length, 2);
});

test("property: a type without a schema, and one that is not listed, never changes what is accepted", async () => {
  await using plain = await openGatewayHarness();
  await using listed = await openListed();
  await listed.call("PUT", "/v1/event-types/free", { body: { description: "Anything.", example: 1 } });
  const texts = fc.oneof(fc.json(), fc.string());
  await fc.assert(
    fc.asyncProperty(texts, fc.constantFrom("free", "unlisted"), async (text, type) => {
      const body = `{"type":"${type}","data":${text}}`;
      const [one, other] = [
        await plain.call("POST", "/v1/events", { body }),
        await listed.call("POST", "/v1/events", { body }),
      ];
      assert.equal(one.status, other.status, body);
      if (one.status !== 202) assert.equal(textAt(one.json, "code"), textAt(other.json, "code"));
      const [stored, also] = [await plain.takeLane("medium"), await listed.takeLane("medium")];
      const shown = (lane: typeof stored) => lane.map((event) => new TextDecoder().decode(event.body));
      assert.deepEqual(shown(stored), shown(also));
    }),
    { numRuns: 200 },
  );
});

test("the description of the API has the catalogue's messages, made again when it changes, unless it is hidden", async () => {
  await using harness = await openListed();
  const document = async () => (await harness.call("GET", "/openapi.json", { key: null })).json;
  const body = at(await document(), "webhooks") as Record<string, unknown>;
  const content = at(body["invoice.paid"], "post.requestBody.content");
  const { schema, example } =
    (content as Record<string, { schema: unknown; example: unknown }>)["application/json"] ?? {};
  assert.deepEqual(at(schema, "properties.data"), { $id: "urn:posthaste:event-type:invoice.paid", ...SCHEMA });
  assert.deepEqual(at(example, "data"), PAID.example);
  await harness.call("PUT", "/v1/event-types/event", {
    body: { description: "<script>alert(1)</script>", deprecated: true },
  });
  const names = Object.keys(at(await document(), "webhooks") as object);
  assert.ok(names.includes("event") && names.includes("event of the catalogue"), names.join());
  const { text } = await harness.call("GET", "/docs", { key: null });
  assert.match(text, /An invoice of ours was paid/);
  assert.doesNotMatch(text, /<script/);
  await using hidden = await openListed({ catalogue: { taken: "any", isShown: false } });
  for (const path of ["/openapi.json", "/docs"]) {
    assert.doesNotMatch((await hidden.call("GET", path, { key: null })).text, /An invoice of ours was paid/);
  }
});

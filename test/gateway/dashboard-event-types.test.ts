/** The pages of the catalogue: operators change it by forms, everybody else looks at it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DashboardClient } from "../support/dashboard-client.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";

const PATH = "/dashboard/event-types";

async function openAs(tenant: string | null) {
  const harness = await openGatewayHarness();
  await harness.call("PUT", "/v1/event-types/order.paid", {
    body: { description: "An order was paid.", schema: { type: "object" }, example: { "<b>": "</textarea>" } },
  });
  const client = new DashboardClient(harness.gateway);
  await client.signIn(tenant === null ? harness.operatorKey : await harness.createKey({ tenant }));
  return { harness, client };
}

test("an operator adds a type, changes it and deletes it by the forms", async () => {
  const { harness, client } = await openAs(null);
  await using _ = harness;
  const fields = { name: "order.shipped", description: "Sent.", schema: '{"type":"string"}', example: '"a"' };
  const added = await client.send(PATH, fields);
  assert.deepEqual([added.status, added.headers.get("location")], [303, `${PATH}/order.shipped?done=saved`]);
  const shown = await client.visit(`${PATH}/order.shipped`);
  for (const words of ["Sent.", "&quot;string&quot;", "&quot;a&quot;"]) assert.ok(shown.text.includes(words), words);
  const changed = await client.send(`${PATH}/order.shipped`, { description: "Sent out.", deprecated: "true" });
  assert.equal(changed.status, 303, changed.text);
  const kept = (await harness.call("GET", "/v1/event-types/order.shipped")).json as Record<string, unknown>;
  assert.deepEqual(
    [kept["description"], kept["schema"], kept["deprecated"], "example" in kept],
    ["Sent out.", null, true, false],
  );
  const deleted = await client.send(`${PATH}/order.shipped/delete`, {});
  assert.equal(deleted.headers.get("location"), `${PATH}?done=deleted`);
  assert.equal((await harness.call("GET", "/v1/event-types/order.shipped")).status, 404);
  const late = await client.send(`${PATH}/order.shipped`, { description: "again" });
  assert.equal(late.status, 404, "a form creates nothing that was deleted meanwhile");
});

test("what is wrong is said at its field, and what was written stays in the form", async () => {
  const { harness, client } = await openAs(null);
  await using _ = harness;
  const broken = await client.send(PATH, { name: "a", schema: "{<script>", example: "1" });
  assert.equal(broken.status, 422);
  assert.match(broken.text, /id="f-schema-wrong">\s*#\/schema must be JSON/);
  assert.match(broken.text, /\{&lt;script&gt;/);
  const misfit = await client.send(`${PATH}/order.paid`, { schema: '{"type":"object"}', example: "1" });
  assert.match(misfit.text, /id="f-example-wrong">\s*#\/example must be of type object/);
  const twice = await client.send(PATH, { name: "a", schema: '{"allOf":[{"type":"string","type":"null"}]}' });
  assert.match(twice.text, /id="f-schema-wrong">\s*#\/schema\/allOf\/0\/type is given more than once/);
  const huge = await client.send(PATH, { name: "a", example: '{"a":1e400}' });
  assert.match(huge.text, /id="f-example-wrong">\s*#\/example has a number that is too large/);
  const deep = await client.send(PATH, { name: "a", example: "[".repeat(9000) + "]".repeat(9000) });
  assert.equal(deep.status, 400);
  assert.match((await client.send(PATH, { name: "a b" })).text, /id="f-name-wrong"/);
  const { data } = (await harness.call("GET", "/v1/event-types")).json as { data: unknown[] };
  assert.equal(data.length, 1);
});

test("of two operators who change a type the second is told, and takes back nothing that the first has saved", async () => {
  const { harness, client } = await openAs(null);
  await using _ = harness;
  const path = `${PATH}/order.paid`;
  const seenIn = (text: string): string => /name="seen" value="([^"]+)"/.exec(text)?.[1] ?? "";
  const seen = seenIn((await client.visit(path)).text);
  await harness.clock.advance(1000);
  assert.equal((await client.send(path, { description: "Of the first.", seen })).status, 303);
  const late = await client.send(path, { description: "Of the second.", seen });
  assert.equal(late.status, 422);
  assert.match(late.words, /Somebody has changed this since you opened the form/);
  assert.match(late.text, /value="Of the second\."/);
  const kept = (await harness.call("GET", "/v1/event-types/order.paid")).json as Record<string, unknown>;
  assert.equal(kept["description"], "Of the first.");
  assert.equal((await client.send(path, { description: "Of the second.", seen: seenIn(late.text) })).status, 303);
});

test("a tenant's key that may change things sees the catalogue and no form, and its forms are refused", async () => {
  const { harness, client } = await openAs("acme");
  await using _ = harness;
  for (const path of [PATH, `${PATH}/order.paid`]) {
    const { status, text } = await client.visit(path);
    assert.equal(status, 200, text);
    assert.match(text, /An order was paid\./);
    assert.doesNotMatch(text, /<textarea|action="\/dashboard\/event-types/);
  }
  for (const [path, fields] of [
    [PATH, { name: "b" }],
    [`${PATH}/order.paid`, { description: "b" }],
    [`${PATH}/order.paid/delete`, {}],
  ] as const) {
    assert.equal((await client.send(path, fields)).status, 403, path);
  }
  const kept = (await harness.call("GET", "/v1/event-types/order.paid")).json as Record<string, unknown>;
  assert.equal(kept["description"], "An order was paid.");
});

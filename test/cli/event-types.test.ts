/** `posthaste event-types`, against the real gateway on the embedded drivers. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openFolder } from "../e2e/posthaste-child.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";
import { rowsIn, runCommand } from "./run-command.ts";

test("event-types: put from files, listed, shown, deleted; publish hears of data that does not fit", async () => {
  await using harness = await openGatewayHarness();
  using folder = openFolder();
  const [schema, example] = [join(folder.path, "schema.json"), join(folder.path, "example.json")];
  writeFileSync(schema, '{"type":"object","required":["id"]}');
  writeFileSync(example, '{"id":"inv_1"}');
  const words = ["event-types", "put", "invoice.paid", "--description", "Paid.", "--schema-file", schema];
  // A tenant that is named for all calls has no part in the catalogue.
  const put = await runCommand(harness, [...words, "--example-file", example, "--tenant", "acme"]);
  assert.deepEqual([put.code, put.stdout], [0, "invoice.paid is in the catalogue, with its schema.\n"], put.stderr);
  const listed = rowsIn(await runCommand(harness, ["event-types", "list", "--json"]));
  assert.deepEqual(
    listed.map(({ name }) => name),
    ["invoice.paid"],
  );
  const table = await runCommand(harness, ["event-types", "list"], { columns: 80 });
  assert.match(table.stdout, /NAME.*\ninvoice\.paid +Paid\. +checked +current/);
  const shown = await runCommand(harness, ["event-types", "show", "invoice.paid"]);
  assert.match(shown.stdout, /Paid\.[\s\S]*Schema:\n\{[\s\S]*"required"[\s\S]*Example:\n\{\n {2}"id": "inv_1"\n\}\n$/);
  const refused = await runCommand(harness, ["publish", "invoice.paid", "--data", "{}"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^data\.id is required/);
  const deleted = await runCommand(harness, ["event-types", "delete", "invoice.paid", "nothing.here"]);
  assert.equal(deleted.code, 1);
  assert.equal(deleted.stdout, "invoice.paid is deleted.\n");
  assert.match(deleted.stderr, /^nothing\.here: There is no event type/);
});

test("event-types put: what cannot be read or understood is told, and nothing is sent of files that are no JSON", async () => {
  await using harness = await openGatewayHarness();
  using folder = openFolder();
  const file = join(folder.path, "file.json");
  for (const [text, message, code] of [
    ["{", /^--schema-file .*file\.json cannot be read as JSON/, 2],
    ["true", /^--schema-file must hold a JSON Schema/, 2],
    [
      '{"properties":{"a":{"type":"string","type":"null"}}}',
      /file\.json: "properties\.a\.type" is given more than once/,
      2,
    ],
    ['{"enum":[1e400]}', /file\.json has a number that is too large/, 2],
    ['{"type":"int"}', /^schema\.type must be one or a list of null/, 1],
  ] as const) {
    writeFileSync(file, text);
    const ran = await runCommand(harness, ["event-types", "put", "a", "--schema-file", file]);
    assert.equal(ran.code, code, ran.stderr);
    assert.match(ran.stderr, message);
  }
  const escape = await runCommand(harness, ["event-types", "show", "../events"]);
  assert.equal(escape.code, 2, "no name leads to another path");
  assert.equal((await harness.drivers.eventTypes.read()).types.size, 0);
});

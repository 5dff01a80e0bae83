/** What a program calls itself in its telemetry, by the OpenTelemetry specification's variables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { resourceAttributesFault } from "@posthaste/shared/domain/resource-attributes.ts";

const of = (environment: Readonly<Record<string, string>>) => parseConfig(environment).resourceAttributes;

test("nothing set, or set to nothing, changes nothing", () => {
  assert.deepEqual(of({}), {});
  assert.deepEqual(of({ OTEL_SERVICE_NAME: "", OTEL_RESOURCE_ATTRIBUTES: " " }), {});
  assert.deepEqual(of({ OTEL_RESOURCE_ATTRIBUTES: "service.name=" }), {});
});

test("OTEL_RESOURCE_ATTRIBUTES gives attributes, percent-decoded, and OTEL_SERVICE_NAME goes before a name among them", () => {
  const listed = { OTEL_RESOURCE_ATTRIBUTES: "service.name=listed, deployment.environment.name = eu%2Cwest%3D1 ,a=" };
  const others = { "deployment.environment.name": "eu,west=1", a: "" };
  assert.deepEqual(of(listed), { ...others, "service.name": "listed" });
  assert.deepEqual(of({ ...listed, OTEL_SERVICE_NAME: "named" }), { ...others, "service.name": "named" });
});

for (const text of ["a", "=b", "a=b=c", "a=%zz", "a=b,", ",a=b"]) {
  test(`a list that does not read back (${text}) is left out as a whole, and named`, () => {
    const environment = { OTEL_RESOURCE_ATTRIBUTES: text, OTEL_SERVICE_NAME: "named" };
    assert.deepEqual(of(environment), { "service.name": "named" });
    assert.match(resourceAttributesFault(environment) ?? "", /^OTEL_RESOURCE_ATTRIBUTES has no effect: it must be /);
  });
}

test("a list that reads back is no fault", () => {
  for (const text of ["", "a=b", "a=b,c=%25"])
    assert.equal(resourceAttributesFault({ OTEL_RESOURCE_ATTRIBUTES: text }), null);
});

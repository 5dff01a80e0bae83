/**
 * Valibot schemas as JSON Schema (2020-12) of what they take. Valibot's own converter does the work. What it cannot know, since
 * a check or a transform is code, stands beside the check as `v.metadata` in the words of JSON Schema; a check without any is
 * refused here, so that nothing is left out in silence.
 */
import { toJsonSchema, toJsonSchemaDefs } from "@valibot/to-json-schema";
import type { ConversionConfig, JsonSchema as Converted } from "@valibot/to-json-schema";
import type * as v from "valibot";

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined;
}
export type JsonSchema = JsonObject;

export type AnySchema = v.GenericSchema<unknown, unknown>;

/** Schemas that have a name: where one of them stands, there is a reference. */
export type NamedSchemas = Readonly<Record<string, AnySchema>>;

/** The named schemas, for `components`. */
export function namedJsonSchemas(named: NamedSchemas): Readonly<Record<string, JsonSchema>> {
  // The converter asks for a type that allows no readonly; it changes nothing.
  const definitions = named as Parameters<typeof toJsonSchemaDefs>[0];
  return toJsonSchemaDefs(definitions, config) as Readonly<Record<string, JsonSchema>>;
}

/** One without a name, in which no name is known. */
export function jsonSchemaOf(schema: AnySchema): JsonSchema {
  const { $schema: _draft, ...converted } = toJsonSchema(schema, config);
  return converted as JsonSchema;
}

export function schemaRef(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

const config: ConversionConfig = {
  target: "draft-2020-12",
  typeMode: "input",
  overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
  // JSON has no numbers that are not finite, and nothing that could be changed.
  ignoreActions: ["finite", "readonly"],
  overrideAction: ({ valibotAction: { type }, jsonSchema }) => {
    if (type === "check" || type === "raw_check") return withWords(jsonSchema);
    if (type === "gt_value") return withOneLowerBound(jsonSchema);
    return type === "metadata" ? withSchemasConverted(jsonSchema) : null;
  },
};

function withWords(jsonSchema: Converted): Converted {
  if (jsonSchema.description !== undefined) return jsonSchema;
  throw new Error("a check has no metadata before it in its pipe that says what it takes");
}

/** At least 0 and more than 0: the second says it all. */
function withOneLowerBound({ minimum, ...schema }: Converted): Converted {
  const above = schema.exclusiveMinimum;
  return minimum !== undefined && above !== undefined && minimum > above ? { ...schema, minimum } : schema;
}

/** What a later step of the pipe takes of a part is named by its valibot schema. */
function withSchemasConverted(jsonSchema: Converted): Converted {
  const entries = Object.entries(jsonSchema).map(([key, value]: [string, unknown]) => [
    key,
    isSchema(value) ? jsonSchemaOf(value) : value,
  ]);
  return Object.fromEntries(entries) as Converted;
}

function isSchema(value: unknown): value is AnySchema {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "schema";
}

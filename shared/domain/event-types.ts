/**
 * The catalogue of event types: what the operator says of each type, with a JSON Schema that its data must fit and an example of it.
 * One catalogue for the deployment, so that all tenants publish and receive the same types. It is small enough to be kept whole by
 * each gateway, so that no event waits for it.
 */
import * as v from "valibot";
import type { PreparedSchema, SchemaFault, SchemaObject } from "./json-schema/schema.ts";
import { dataFaults } from "./json-schema/check-data.ts";
import { isObject } from "./json-schema/keywords.ts";
import { prepareSchema } from "./json-schema/schema.ts";
import { isWritable } from "./json-schema/values.ts";
import { EventType } from "./event.ts";
import { freeText } from "./free-text.ts";
import { JSON_DEPTH_MAX, scanDepth } from "./json-span.ts";
import { TimeMs } from "./id.ts";

/** Types of one catalogue. */
export const EVENT_TYPES_MAX = 1000;
/** All records of one catalogue as JSON: each gateway keeps them all. In UTF-16 units of the text in SQLite, in bytes on Redis. */
export const CATALOGUE_BYTES_MAX = 2 * 1024 * 1024;
/** UTF-16 units of a schema, and of an example, as JSON without white space. */
export const SCHEMA_LENGTH_MAX = 32 * 1024;
export const EXAMPLE_LENGTH_MAX = 16 * 1024;
export const DESCRIPTION_LENGTH_MAX = 2000;

/** As it is kept; schema and example as JSON texts. */
export interface CatalogueType {
  readonly name: string;
  readonly description: string | null;
  readonly schemaText: string | null;
  readonly exampleText: string | null;
  readonly isDeprecated: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A record may have been written by anyone, and one that is shown to all must not spoil what else is shown. */
export const CatalogueTypeRecord = v.object({
  name: EventType,
  description: v.nullable(v.string()),
  schemaText: v.nullable(
    v.pipe(
      v.string(),
      v.check((text) => isObject(parsedText(text))),
    ),
  ),
  exampleText: v.nullable(
    v.pipe(
      v.string(),
      v.check((text) => parsedText(text) !== undefined),
    ),
  ),
  isDeprecated: v.boolean(),
  createdAtMs: TimeMs,
  updatedAtMs: TimeMs,
});

export interface Catalogue {
  /** Changes with each change of the catalogue. */
  readonly version: string;
  /** By name, sorted by it. */
  readonly types: ReadonlyMap<string, CatalogueType>;
}

/** Which types are taken: any, or those of the catalogue alone. */
export const TakenTypes = v.picklist(["any", "listed"], "must be any or listed");
export type TakenTypes = v.InferOutput<typeof TakenTypes>;
export const ShownTypes = v.picklist(["shown", "hidden"], "must be shown or hidden");

/** What a deployment does with its catalogue. */
export interface CatalogueRules {
  readonly taken: TakenTypes;
  /** The API's description, which anybody can read without a key, has it. */
  readonly isShown: boolean;
}

export const CATALOGUE_RULES: CatalogueRules = { taken: "any", isShown: true };

/** What is written of a type; the body of PUT. */
export const NewCatalogueType = v.strictObject({
  description: v.pipe(v.optional(v.nullable(freeText(DESCRIPTION_LENGTH_MAX))), v.description("For people.")),
  schema: v.pipe(
    v.optional(v.unknown(), null),
    v.metadata({
      anyOf: [{ type: "object" }, { type: "null" }],
      description: `JSON Schema 2020-12 that the event's data must fit; at most ${SCHEMA_LENGTH_MAX} characters. References stay within it, and \`format\` refuses nothing.`,
    }),
    v.check((schema) => schema === null || isObject(schema), "must be a JSON Schema, an object"),
  ),
  example: v.pipe(
    v.optional(v.unknown()),
    v.metadata({
      description: `Data of such an event, null too; must fit the schema. At most ${EXAMPLE_LENGTH_MAX} characters. Test events carry it.`,
    }),
  ),
  deprecated: v.pipe(
    v.optional(v.boolean("must be true or false"), false),
    v.description("Still taken, and shown as such."),
  ),
});
export type NewCatalogueType = v.InferOutput<typeof NewCatalogueType>;

export function catalogueOf(version: string, types: Iterable<CatalogueType>): Catalogue {
  const sorted = [...types].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return { version, types: new Map(sorted.map((type) => [type.name, type])) };
}

/** Names after `after`, at most `limit`; `next` is the name to go on after, null when this is the last page. */
export function cataloguePage(
  { types }: Catalogue,
  limit: number,
  after: string | null,
): { readonly rows: readonly CatalogueType[]; readonly next: string | null } {
  const rest = [...types.values()].filter(({ name }) => after === null || name > after);
  const rows = rest.slice(0, limit);
  return { rows, next: rest.length > limit ? (rows.at(-1)?.name ?? null) : null };
}

/** What is wrong with a type as it is to be written; places begin with `schema` or `example`. */
export function typeFaults(wish: NewCatalogueType): readonly SchemaFault[] {
  const { example } = wish;
  const schema = wish.schema as SchemaObject | null;
  const faults: SchemaFault[] = [];
  const sizes = [
    ["schema", schema ?? undefined, SCHEMA_LENGTH_MAX],
    ["example", example, EXAMPLE_LENGTH_MAX],
  ] as const;
  for (const [member, value, max] of sizes) {
    if (value === undefined) continue;
    if (!isWritable(value))
      faults.push({ path: [member], detail: "has a number that is too large for JSON to be written again" });
    else if (JSON.stringify(value).length > max)
      faults.push({ path: [member], detail: `must have at most ${max} characters as JSON` });
  }
  if (schema === null || faults.length > 0) return faults;
  const prepared = prepareSchema(schema);
  if (prepared.kind === "refused")
    return prepared.faults.map(({ path, detail }) => ({ path: ["schema", ...path], detail }));
  if (example === undefined) return [];
  return dataFaults(prepared.schema, example).map(({ path, detail }) => ({ path: ["example", ...path], detail }));
}

/**
 * What is wrong with an event of this type and data; places begin with `type` or `data`. Null is a catalogue that is not known yet:
 * then nothing is refused.
 */
export function eventFaults(
  catalogue: Catalogue | null,
  taken: TakenTypes,
  type: string,
  data: unknown,
): readonly SchemaFault[] {
  if (catalogue === null) return [];
  const listed = catalogue.types.get(type);
  if (listed === undefined) return taken === "any" ? [] : [{ path: ["type"], detail: NOT_LISTED }];
  const schema = preparedOf(listed);
  if (schema === null) return [];
  return dataFaults(schema, data).map(({ path, detail }) => ({ path: ["data", ...path], detail }));
}

const NOT_LISTED =
  "is not in the catalogue of event types; use one of GET /v1/event-types, or have the operator add it";

/** Looked through once, when an event of the type first comes. */
const preparedByType = new WeakMap<CatalogueType, PreparedSchema | null>();

/** Null: there is none, or it was written by a release that understands more; what it says is not checked here then. */
function preparedOf(type: CatalogueType): PreparedSchema | null {
  if (type.schemaText === null) return null;
  const known = preparedByType.get(type);
  if (known !== undefined) return known;
  const prepared = prepare(type.schemaText);
  preparedByType.set(type, prepared);
  return prepared;
}

/** Undefined: it is no JSON, or deeper than any of ours. */
function parsedText(text: string): unknown {
  try {
    return scanDepth(text, JSON_DEPTH_MAX) ? (JSON.parse(text) as unknown) : undefined;
  } catch {
    return undefined;
  }
}

function prepare(text: string): PreparedSchema | null {
  const schema = parsedText(text);
  const prepared = isObject(schema) ? prepareSchema(schema) : null;
  return prepared?.kind === "prepared" ? prepared.schema : null;
}

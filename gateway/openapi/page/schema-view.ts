/** A JSON Schema as a list of members, each with its kind, its bounds and its words. */
import { html } from "hono/html";
import type { JsonSchema, JsonValue } from "../json-schema.ts";
import type { OpenApi } from "../open-api.ts";
import type { Markup } from "../../html/markup.ts";
import { anchor, inline } from "../../html/markup.ts";

/** Deeper ones are named by their kind alone. */
const DEPTH_MAX = 4;

/** The members of an object, or of what a list holds; nothing for what has none, and for what has a place of its own. */
export function membersOf(schema: JsonSchema, depth = 0): Markup | null {
  const object = objectIn(schema);
  const properties = object?.["properties"];
  if (object === null || !isObject(properties) || depth >= DEPTH_MAX) return null;
  const needed = new Set(listOf(object["required"]));
  const rows = Object.entries(properties).filter((entry): entry is [string, JsonSchema] => isObject(entry[1]));
  if (rows.length === 0) return null;
  return html`<dl>
    ${rows.map(([name, member]) => memberRow({ name, schema: member, isNeeded: needed.has(name) }, depth))}
  </dl>`;
}

export interface Member {
  readonly name: string;
  readonly schema: JsonSchema;
  readonly isNeeded: boolean;
  readonly description?: string | undefined;
  /** Where it is sent, for parameters. */
  readonly place?: string;
}

export function memberRow({ name, schema, isNeeded, description, place }: Member, depth = 0): Markup {
  const words = description ?? schema["description"];
  const bounds = boundsOf(schema);
  return html`<div>
    <dt>
      <code>${name}</code> <span class="kind">${kindOf(schema)}${place === undefined ? "" : ` in the ${place}`}</span>
      ${isNeeded ? html`<span class="needed">required</span>` : ""}
    </dt>
    <dd>
      ${typeof words === "string" ? inline(words) : ""}
      ${bounds === "" ? "" : html`<div class="bounds">${inline(bounds)}</div>`} ${membersOf(schema, depth + 1) ?? ""}
    </dd>
  </div>`;
}

/** In words: `string`, `list of integer`, a link to a schema that has a name. */
export function kindOf(schema: JsonSchema): Markup {
  const { $ref, type, format, anyOf, allOf, items } = schema;
  if (typeof $ref === "string") return reference($ref);
  const options = [...schemasIn(anyOf), ...schemasIn(allOf).slice(0, 1)];
  if (options.length > 0) return joined(options.map(kindOf), " or ");
  if (type === "array") return html`list of ${isObject(items) ? kindOf(items) : "anything"}`;
  if (typeof type === "string") return html`${typeof format === "string" ? `${type} (${format})` : type}`;
  return html`${"const" in schema ? JSON.stringify(schema["const"]) : "any JSON"}`;
}

function reference(ref: string): Markup {
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  // A schema of the catalogue refers to its own parts, which have no place of their own.
  if (!ref.startsWith("#/components/schemas/")) return html`${name}`;
  return html`<a href="#${anchor(`schema ${name}`)}">${name}</a>`;
}

function joined(parts: readonly Markup[], between: string): Markup {
  return html`${parts.map((part, index) => html`${index === 0 ? "" : between}${part}`)}`;
}

/** What the values may be, as far as it can be said in a line. */
function boundsOf(schema: JsonSchema): string {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, format } = schema;
  // A format and a list of values say it better.
  const isShown = typeof pattern === "string" && format === undefined && schema["enum"] === undefined;
  const values = listOf(schema["enum"]);
  const parts = [
    values.length === 0 ? null : values.map((value) => `\`${value}\``).join(", "),
    rangeOf(minimum, maximum, ""),
    rangeOf(minLength, maxLength, " characters"),
    rangeOf(minItems, maxItems, " items"),
    isShown ? `matches \`${pattern}\`` : null,
    schema["default"] === undefined ? null : `default \`${JSON.stringify(schema["default"])}\``,
  ];
  return parts.filter((part) => part !== null).join("; ");
}

function rangeOf(from: JsonValue | undefined, to: JsonValue | undefined, unit: string): string | null {
  const [least, most] = [from, to].map((bound) => (typeof bound === "number" ? String(bound) : null));
  if (least == null) return most == null ? null : `at most ${most}${unit}`;
  return most == null ? `at least ${least}${unit}` : `${least} to ${most}${unit}`;
}

/** The object itself, or that of a list's items, or the one beside null. */
function objectIn(schema: JsonSchema): JsonSchema | null {
  if (isObject(schema["properties"])) return schema;
  const { items } = schema;
  if (isObject(items)) return objectIn(items);
  const options = schemasIn(schema["anyOf"]).filter(({ type }) => type !== "null");
  return options.length === 1 && options[0] !== undefined ? objectIn(options[0]) : null;
}

function schemasIn(value: JsonValue | undefined): readonly JsonSchema[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function listOf(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value)
    ? value.map((each) => (typeof each === "object" ? JSON.stringify(each) : String(each)))
    : [];
}

/** What the reference stands for, for one step. */
export function resolved({ components }: OpenApi, schema: JsonSchema): JsonSchema {
  const { $ref } = schema;
  if (typeof $ref !== "string") return schema;
  return components.schemas[$ref.slice($ref.lastIndexOf("/") + 1)] ?? schema;
}

function isObject(value: JsonValue | undefined): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

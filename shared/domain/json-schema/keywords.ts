/** The keywords of JSON Schema 2020-12 that are understood, each with the form of its value. */

export const DIALECT = "https://json-schema.org/draft/2020-12/schema";
const TYPES = ["null", "boolean", "object", "array", "number", "integer", "string"] as const;

export type Form =
  | "schema"
  | "schemas"
  | "map"
  | "patterns"
  | "count"
  | "number"
  | "positive"
  | "pattern"
  | "names"
  | "nameLists"
  | "boolean"
  | "list"
  | "types"
  | "ref"
  | "anchor"
  | "dialect"
  | "refused";

export const FORMS = new Map<string, Form>([
  ["$schema", "dialect"],
  ["$ref", "ref"],
  ["$anchor", "anchor"],
  ...each(
    "refused",
    "$dynamicRef $dynamicAnchor $recursiveRef $recursiveAnchor $vocabulary dependencies additionalItems",
  ),
  ...each("schema", "not if then else contains propertyNames items additionalProperties"),
  ...each("schema", "unevaluatedItems unevaluatedProperties"),
  ...each("schemas", "allOf anyOf oneOf prefixItems"),
  ...each("map", "$defs definitions properties dependentSchemas"),
  ["patternProperties", "patterns"],
  ...each("count", "minLength maxLength minItems maxItems minContains maxContains minProperties maxProperties"),
  ...each("number", "minimum maximum exclusiveMinimum exclusiveMaximum"),
  ["multipleOf", "positive"],
  ["pattern", "pattern"],
  ["required", "names"],
  ["dependentRequired", "nameLists"],
  ["uniqueItems", "boolean"],
  ["enum", "list"],
  ["type", "types"],
]);

function each(form: Form, keywords: string): [string, Form][] {
  return keywords.split(" ").map((keyword) => [keyword, form]);
}

/** What is wrong with a keyword's own value; null when nothing is. */
export function wrongIn(form: Form, given: unknown): string | null {
  switch (form) {
    case "count":
      return Number.isSafeInteger(given) && (given as number) >= 0 ? null : "must be a whole number from 0";
    case "number":
      return Number.isFinite(given) ? null : "must be a number";
    case "positive":
      return Number.isFinite(given) && (given as number) > 0 ? null : "must be a number above 0";
    case "names":
      return isNames(given) ? null : "must be a list of names, each once";
    case "nameLists":
      return isObject(given) && Object.values(given).every(isNames) ? null : "must be an object of lists of names";
    case "boolean":
      return typeof given === "boolean" ? null : "must be true or false";
    case "list":
      return Array.isArray(given) ? null : "must be a list";
    case "types":
      return isTypes(given) ? null : `must be one or a list of ${TYPES.join(", ")}, each once`;
    case "dialect":
      return given === DIALECT || given === `${DIALECT}#` ? null : `must be ${DIALECT}, or be left out`;
    default:
      return "is not understood here: write it with $ref, $defs and the words of JSON Schema 2020-12";
  }
}

function isNames(given: unknown): boolean {
  return (
    Array.isArray(given) && given.every((name) => typeof name === "string") && new Set(given).size === given.length
  );
}

function isTypes(given: unknown): boolean {
  const types: readonly unknown[] = Array.isArray(given) ? given : [given];
  const isEachOnce = new Set(types).size === types.length;
  return types.length > 0 && isEachOnce && types.every((type) => (TYPES as readonly unknown[]).includes(type));
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

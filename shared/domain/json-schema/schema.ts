/**
 * JSON Schema 2020-12 as far as it is understood here: everything but remote and dynamic references, and `format`, which says
 * something and refuses nothing. A schema is looked through once, when it is written; what is not understood is refused and named,
 * so that nothing is checked less than its author believes. Unknown keywords are annotations, as the specification says.
 */
import type { Form } from "./keywords.ts";
import { FORMS, isObject, wrongIn } from "./keywords.ts";
import type { Pattern } from "./pattern.ts";
import { parsePattern } from "./pattern.ts";

export type Schema = boolean | SchemaObject;
export interface SchemaObject {
  readonly [keyword: string]: unknown;
}

export type Path = readonly (string | number)[];

/** A place in a schema or in data, and what must change there; `detail` follows the name of the place. */
export interface SchemaFault {
  readonly path: Path;
  readonly detail: string;
}

/** A schema that was looked through, with what it needs at hand. */
export interface PreparedSchema {
  readonly root: Schema;
  readonly patterns: ReadonlyMap<string, Pattern>;
  /** By the text of `$ref`. */
  readonly targets: ReadonlyMap<string, Schema>;
  /** Some keyword asks which members and items others have looked at. */
  readonly isTracked: boolean;
}

export type PreparedOrRefused =
  | { readonly kind: "prepared"; readonly schema: PreparedSchema }
  | { readonly kind: "refused"; readonly faults: readonly SchemaFault[] };

/** Schemas in one, itself counted. */
export const SUBSCHEMAS_MAX = 1000;
export const SCHEMA_FAULTS_MAX = 20;

/** Those that judge the very value that their schema judges: a way of them that leads back to itself would never end. */
const IN_PLACE = ["$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];

export function prepareSchema(root: Schema): PreparedOrRefused {
  const look = new Look();
  look.schema(root, []);
  look.resolve();
  if (look.faults.length === 0) look.requireEnds(root, new Set(), new Set());
  const { faults, patterns, targets, isTracked } = look;
  return faults.length > 0
    ? { kind: "refused", faults }
    : { kind: "prepared", schema: { root, patterns, targets, isTracked } };
}

class Look {
  readonly faults: SchemaFault[] = [];
  readonly patterns = new Map<string, Pattern>();
  readonly targets = new Map<string, Schema>();
  isTracked = false;
  /** By what a reference may call them: `#/$defs/a`, `#anchor`. */
  readonly #named = new Map<string, Schema>();
  readonly #refs: { readonly ref: string; readonly path: Path }[] = [];
  #count = 0;

  schema(value: unknown, path: Path): void {
    if (typeof value !== "boolean" && !isObject(value))
      return this.#fault(path, "must be a schema: an object, true or false");
    if (++this.#count > SUBSCHEMAS_MAX) {
      if (this.#count === SUBSCHEMAS_MAX + 1)
        this.#fault(path, `is one schema too many: at most ${SUBSCHEMAS_MAX} in all`);
      return;
    }
    this.#named.set(pointerOf(path), value);
    if (typeof value === "boolean") return;
    if (Object.hasOwn(value, "$id") && path.length > 0) this.#fault([...path, "$id"], "may stand at the top alone");
    for (const [keyword, given] of Object.entries(value)) {
      const form = FORMS.get(keyword);
      if (form !== undefined) this.#keyword(form, given, [...path, keyword], value);
      if (keyword.startsWith("unevaluated")) this.isTracked = true;
    }
  }

  /** References may lead forward: they are looked up when all is known. */
  resolve(): void {
    for (const { ref, path } of this.#refs) {
      const target = this.#named.get(unescaped(ref));
      if (target !== undefined) this.targets.set(ref, target);
      else
        this.#fault(
          path,
          "must lead to a schema within this one, such as #/$defs/name; nothing is fetched from elsewhere",
        );
    }
  }

  /** Depth first; `open` is the way that led here, `ended` what is known to end. */
  requireEnds(schema: Schema, open: Set<Schema>, ended: Set<Schema>): void {
    if (typeof schema === "boolean" || ended.has(schema)) return;
    if (open.has(schema)) return this.#fault([], "refers to itself in a circle that never takes a step into the data");
    open.add(schema);
    for (const next of this.#inPlace(schema)) {
      if (this.faults.length > 0) return;
      this.requireEnds(next, open, ended);
    }
    open.delete(schema);
    ended.add(schema);
    for (const next of this.#deeper(schema)) {
      if (this.faults.length > 0) return;
      this.requireEnds(next, new Set(), ended);
    }
  }

  #inPlace(schema: SchemaObject): readonly Schema[] {
    return IN_PLACE.flatMap((keyword): readonly Schema[] => {
      if (!Object.hasOwn(schema, keyword)) return [];
      const given = schema[keyword];
      if (keyword === "$ref") return [this.targets.get(given as string) ?? true];
      if (Array.isArray(given)) return given as Schema[];
      return keyword === "dependentSchemas" ? Object.values(given as Record<string, Schema>) : [given as Schema];
    });
  }

  #deeper(schema: SchemaObject): readonly Schema[] {
    return Object.entries(schema).flatMap(([keyword, given]) => {
      const form = FORMS.get(keyword);
      if (form === "schema") return [given] as Schema[];
      if (form === "schemas") return given as Schema[];
      return form === "map" || form === "patterns" ? Object.values(given as Record<string, Schema>) : [];
    });
  }

  #keyword(form: Form, given: unknown, path: Path, owner: SchemaObject): void {
    switch (form) {
      case "schema":
        return this.schema(given, path);
      case "schemas":
        if (!Array.isArray(given) || given.length === 0)
          return this.#fault(path, "must be a list of at least one schema");
        return given.forEach((schema, index) => this.schema(schema, [...path, index]));
      case "map":
      case "patterns":
        if (!isObject(given)) return this.#fault(path, "must be an object of schemas");
        for (const [name, schema] of Object.entries(given)) {
          if (form === "patterns") this.#pattern(name, [...path, name]);
          this.schema(schema, [...path, name]);
        }
        return;
      case "pattern":
        return typeof given === "string" ? this.#pattern(given, path) : this.#fault(path, "must be a string");
      case "ref":
        if (typeof given === "string") return void this.#refs.push({ ref: given, path });
        return this.#fault(path, "must be a string");
      case "anchor":
        if (typeof given !== "string" || !/^[A-Za-z_][\w.-]*$/.test(given))
          return this.#fault(path, "must be a plain name");
        return void this.#named.set(`#${given}`, owner);
      default: {
        const detail = wrongIn(form, given);
        if (detail !== null) this.#fault(path, detail);
      }
    }
  }

  #pattern(text: string, path: Path): void {
    if (this.patterns.has(text)) return;
    const parsed = parsePattern(text);
    if (parsed.kind === "parsed") this.patterns.set(text, parsed.pattern);
    else this.#fault(path, parsed.detail);
  }

  #fault(path: Path, detail: string): void {
    if (this.faults.length < SCHEMA_FAULTS_MAX) this.faults.push({ path, detail });
  }
}

function pointerOf(path: Path): string {
  return `#${path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")}`;
}

/** A reference is a URI: its fragment may be percent-encoded. */
function unescaped(ref: string): string {
  try {
    return decodeURIComponent(ref);
  } catch {
    return ref;
  }
}

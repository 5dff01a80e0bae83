/**
 * Holds data to a prepared schema. Faults are told with their place and what must change, never with the value that was found there.
 * Time is bounded: each schema that meets a value is a step, so are a few names that are gone over, moves of a pattern and characters
 * that are compared; what would take more than `CHECK_STEPS_MAX` is a fault of its own.
 */
import type { PreparedSchema, Schema, SchemaFault, SchemaObject } from "./schema.ts";
import { isObject } from "./keywords.ts";
import { clipped, isNumber, numberFault, textFault } from "./scalars.ts";
import type { Place } from "./tally.ts";
import { Tally, TooMuch } from "./tally.ts";
import { isOfType, scalarWords } from "./values.ts";

/** Schemas on the way to one value, through references too. */
const NESTED_MAX = 1000;

/** Empty: the data fits. At most `DATA_FAULTS_MAX`, with paths into the data. */
export function dataFaults(schema: PreparedSchema, data: unknown): readonly SchemaFault[] {
  const check = new Check(schema);
  try {
    check.fits(schema.root, data, null, check.newSeen());
    return check.tally.faults;
  } catch (error) {
    if (error instanceof TooMuch) return [{ path: [], detail: error.message }];
    throw error;
  }
}

/** Members and items that some schema has looked at, of the value at hand. */
interface Seen {
  readonly names: Set<string>;
  readonly indexes: Set<number>;
}

class Check {
  readonly tally = new Tally();
  readonly #prepared: PreparedSchema;
  #nested = 0;

  constructor(prepared: PreparedSchema) {
    this.#prepared = prepared;
  }

  newSeen(): Seen | null {
    return this.#prepared.isTracked ? { names: new Set(), indexes: new Set() } : null;
  }

  fits(schema: Schema, value: unknown, place: Place | null, seen: Seen | null): boolean {
    this.tally.spend(1);
    if (schema === true) return true;
    if (schema === false) return this.tally.fault(place, "is not allowed here");
    if (++this.#nested > NESTED_MAX) throw new TooMuch();
    let isFit = this.#plain(schema, value, place);
    if (isFit || !this.tally.isEnough()) isFit = this.#inPlace(schema, value, place, seen) && isFit;
    if (isFit || !this.tally.isEnough()) isFit = this.#ofKind(schema, value, place, seen) && isFit;
    if (seen !== null && (isFit || !this.tally.isEnough()))
      isFit = this.#unevaluated(schema, value, place, seen) && isFit;
    this.#nested--;
    return isFit;
  }

  #quietly(schema: Schema, value: unknown, seen: Seen | null): boolean {
    return this.tally.quietly(() => this.fits(schema, value, null, seen));
  }

  /** As a way of its own: what it has looked at counts only when it fits. */
  #apart(schema: Schema, value: unknown, seen: Seen | null, place?: Place | null): boolean {
    const own = seen === null ? null : { names: new Set<string>(), indexes: new Set<number>() };
    const isFit = place === undefined ? this.#quietly(schema, value, own) : this.fits(schema, value, place, own);
    if (isFit && seen !== null && own !== null) {
      this.tally.spendLooks(own.names.size + own.indexes.size);
      for (const name of own.names) seen.names.add(name);
      for (const index of own.indexes) seen.indexes.add(index);
    }
    return isFit;
  }

  #plain(schema: SchemaObject, value: unknown, place: Place | null): boolean {
    const { type, enum: choices, const: only } = schema;
    if (type !== undefined) {
      const types = (Array.isArray(type) ? type : [type]) as readonly string[];
      if (!types.some((each) => isOfType(each, value)))
        return this.tally.fault(place, `must be of type ${types.join(" or ")}`);
    }
    if (Array.isArray(choices) && !this.tally.isAmong(choices, value)) {
      return this.tally.isEnough() ? false : this.tally.fault(place, `must be one of ${scalarWords(choices)}`);
    }
    if (Object.hasOwn(schema, "const") && this.tally.canonical(value) !== this.tally.canonical(only)) {
      return this.tally.isEnough() ? false : this.tally.fault(place, `must be ${scalarWords([only])}`);
    }
    return true;
  }

  #inPlace(schema: SchemaObject, value: unknown, place: Place | null, seen: Seen | null): boolean {
    const { $ref, allOf, anyOf, oneOf, not } = schema;
    let isFit = true;
    const also = (given: boolean): void => void (isFit &&= given);
    if (typeof $ref === "string") also(this.#apart(this.#prepared.targets.get($ref) ?? true, value, seen, place));
    for (const each of schemasOf(allOf)) also(this.#apart(each, value, seen, place));
    if (anyOf !== undefined) {
      // Where what they look at counts, all of them are tried.
      const ways = schemasOf(anyOf);
      const fits = (each: Schema): boolean => this.#apart(each, value, seen);
      const isOne = seen === null ? ways.some(fits) : ways.filter(fits).length > 0;
      if (!isOne) also(this.tally.fault(place, "must fit one of the schemas of anyOf, and fits none"));
    }
    if (oneOf !== undefined) {
      const fitting = schemasOf(oneOf).filter((each) => this.#apart(each, value, seen));
      if (fitting.length !== 1) {
        also(this.tally.fault(place, `must fit exactly one of the schemas of oneOf, and fits ${fitting.length}`));
      }
    }
    if (not !== undefined && this.#quietly(not as Schema, value, this.newSeen())) {
      also(this.tally.fault(place, "must not fit the schema of not"));
    }
    if (schema["if"] !== undefined) {
      const then = this.#apart(schema["if"] as Schema, value, seen) ? schema["then"] : schema["else"];
      if (then !== undefined) also(this.#apart(then as Schema, value, seen, place));
    }
    return isFit;
  }

  #ofKind(schema: SchemaObject, value: unknown, place: Place | null, seen: Seen | null): boolean {
    if (typeof value === "number" || typeof value === "string") return this.#scalar(schema, value, place);
    if (Array.isArray(value)) return this.#list(schema, value, place, seen);
    return isObject(value) ? this.#object(schema, value, place, seen) : true;
  }

  #scalar(schema: SchemaObject, value: number | string, place: Place | null): boolean {
    const detail = typeof value === "number" ? numberFault(schema, value) : textFault(schema, value, this.tally);
    if (detail !== null) return this.tally.fault(place, detail);
    const { pattern } = schema;
    if (typeof value === "number" || typeof pattern !== "string" || this.#hasPattern(pattern, value)) return true;
    return this.tally.fault(place, `must match the pattern ${clipped(pattern)}`);
  }

  #hasPattern(pattern: string, value: string): boolean {
    return this.#prepared.patterns.get(pattern)?.isIn(value, this.tally.spendCheap) ?? true;
  }

  #list(schema: SchemaObject, value: readonly unknown[], place: Place | null, seen: Seen | null): boolean {
    const { minItems, maxItems, uniqueItems, items } = schema;
    if (isNumber(minItems) && value.length < minItems)
      return this.tally.fault(place, `must have at least ${minItems} items`);
    if (isNumber(maxItems) && value.length > maxItems)
      return this.tally.fault(place, `must have at most ${maxItems} items`);
    if (uniqueItems === true && new Set(value.map((each) => this.tally.canonical(each))).size < value.length) {
      return this.tally.fault(place, "must have each item once");
    }
    const first = schemasOf(schema["prefixItems"]);
    let isFit = true;
    for (const [index, item] of value.entries()) {
      const each = first[index] ?? (items as Schema | undefined);
      if (each === undefined) break;
      seen?.indexes.add(index);
      if (!this.fits(each, item, { parent: place, step: index }, this.newSeen())) isFit = false;
      if (!isFit && this.tally.isEnough()) return false;
    }
    return this.#contains(schema, value, place, seen) && isFit;
  }

  #contains(schema: SchemaObject, value: readonly unknown[], place: Place | null, seen: Seen | null): boolean {
    const { contains, minContains = 1, maxContains } = schema;
    if (contains === undefined) return true;
    let count = 0;
    for (const [index, item] of value.entries()) {
      if (!this.#quietly(contains as Schema, item, this.newSeen())) continue;
      count++;
      seen?.indexes.add(index);
    }
    if (count < (minContains as number)) {
      return this.tally.fault(place, `must have at least ${String(minContains)} items that fit the schema of contains`);
    }
    if (!isNumber(maxContains) || count <= maxContains) return true;
    return this.tally.fault(place, `must have at most ${maxContains} items that fit the schema of contains`);
  }

  #object(schema: SchemaObject, value: SchemaObject, place: Place | null, seen: Seen | null): boolean {
    const { minProperties, maxProperties, required, dependentRequired, dependentSchemas, propertyNames } = schema;
    const names = Object.keys(value);
    this.tally.spendLooks(names.length);
    const [least, most] = [minProperties, maxProperties];
    if (isNumber(least) && names.length < least) return this.tally.fault(place, `must have at least ${least} members`);
    if (isNumber(most) && names.length > most) return this.tally.fault(place, `must have at most ${most} members`);
    let isFit = this.#required((required ?? []) as readonly string[], value, place);
    for (const [name, others] of this.tally.entriesOf(dependentRequired)) {
      if (Object.hasOwn(value, name)) isFit = this.#required(others as readonly string[], value, place) && isFit;
    }
    for (const [name, also] of this.tally.entriesOf(dependentSchemas)) {
      if (Object.hasOwn(value, name)) isFit = this.#apart(also as Schema, value, seen, place) && isFit;
    }
    for (const name of propertyNames === undefined ? [] : names) {
      if (this.#quietly(propertyNames as Schema, name, this.newSeen())) continue;
      isFit = this.tally.fault({ parent: place, step: name }, "has a name that is not allowed here");
    }
    for (const name of names) {
      if (!this.#member(schema, value, name, { parent: place, step: name }, seen)) isFit = false;
      if (!isFit && this.tally.isEnough()) return false;
    }
    return isFit;
  }

  #required(required: readonly string[], value: SchemaObject, place: Place | null): boolean {
    this.tally.spendCheap(required.length);
    const missing = required.filter((name) => !Object.hasOwn(value, name));
    for (const name of missing) this.tally.fault({ parent: place, step: name }, "is required");
    return missing.length === 0;
  }

  #member(schema: SchemaObject, value: SchemaObject, name: string, place: Place, seen: Seen | null): boolean {
    const { properties, patternProperties, additionalProperties } = schema;
    const judges: Schema[] = [];
    if (isObject(properties) && Object.hasOwn(properties, name)) judges.push(properties[name] as Schema);
    for (const [pattern, each] of this.tally.entriesOf(patternProperties)) {
      if (this.#hasPattern(pattern, name)) judges.push(each as Schema);
    }
    if (judges.length === 0 && additionalProperties !== undefined) {
      if (additionalProperties === false)
        return this.tally.fault(place, "is not a member here; remove it or correct its name");
      judges.push(additionalProperties as Schema);
    }
    if (judges.length > 0) seen?.names.add(name);
    return judges.map((judge) => this.fits(judge, value[name], place, this.newSeen())).every(Boolean);
  }

  /** Last: what no other keyword has looked at. */
  #unevaluated(schema: SchemaObject, value: unknown, place: Place | null, seen: Seen): boolean {
    const { unevaluatedItems, unevaluatedProperties } = schema;
    let isFit = true;
    const judge = (rest: unknown, item: unknown, step: string | number): void => {
      if (!this.fits(rest as Schema, item, { parent: place, step }, this.newSeen())) isFit = false;
    };
    if (unevaluatedItems !== undefined && Array.isArray(value)) {
      this.tally.spendLooks(value.length);
      for (const [index, item] of value.entries()) if (!seen.indexes.has(index)) judge(unevaluatedItems, item, index);
      for (const index of value.keys()) seen.indexes.add(index);
    }
    if (unevaluatedProperties !== undefined && isObject(value)) {
      const names = Object.keys(value);
      this.tally.spendLooks(names.length);
      for (const name of names) if (!seen.names.has(name)) judge(unevaluatedProperties, value[name], name);
      for (const name of names) seen.names.add(name);
    }
    return isFit;
  }
}

function schemasOf(given: unknown): readonly Schema[] {
  return Array.isArray(given) ? (given as Schema[]) : [];
}

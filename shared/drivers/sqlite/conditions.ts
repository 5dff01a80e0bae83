/** The WHERE of a list, built from the members of a filter that are present. Values always travel as parameters. */
import type { SqlValue } from "./database.ts";

export interface Conditions {
  /** Adds `sql`, which has one `?` for each value, unless a value is undefined. */
  and(sql: string, ...values: readonly (SqlValue | undefined)[]): Conditions;
  /** `WHERE ...`, or nothing when there is no condition. */
  readonly where: string;
  readonly values: readonly SqlValue[];
  copy(): Conditions;
  /** A copy with the conditions of `other` behind. */
  plus(other: Conditions): Conditions;
  readonly texts: readonly string[];
}

export function createConditions(): Conditions {
  return conditionsOf([], []);
}

function conditionsOf(texts: string[], values: SqlValue[]): Conditions {
  const conditions: Conditions = {
    and(sql, ...added) {
      const present = added.filter((value) => value !== undefined);
      if (present.length < added.length) return conditions;
      texts.push(sql);
      values.push(...present);
      return conditions;
    },
    get where() {
      return texts.length === 0 ? "" : `WHERE ${texts.join(" AND ")}`;
    },
    values,
    texts,
    copy: () => conditionsOf([...texts], [...values]),
    plus: (other) => conditionsOf([...texts, ...other.texts], [...values, ...other.values]),
  };
  return conditions;
}

/** Sorted sets, by rank, by score and by the bytes of their members. */
import type { Command } from "./commands.ts";
import { wholeNumber } from "./commands.ts";
import type { Keyspace } from "./keyspace.ts";
import type { Row } from "./sorted-set.ts";

const rowsOf = (keys: Keyspace, key: string): readonly Row[] => keys.find(key, "sorted set")?.rows() ?? [];

function scoreOf(text: string): number {
  if (/^[+-]?inf$/iu.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  const score = Number(text);
  if (text.trim() === "" || Number.isNaN(score)) throw new Error("value is not a valid float");
  return score;
}

function isScoreFrom(bound: string): (row: Row) => boolean {
  if (!bound.startsWith("(")) return ({ score }) => score >= scoreOf(bound);
  return ({ score }) => score > scoreOf(bound.slice(1));
}

function isScoreTo(bound: string): (row: Row) => boolean {
  if (!bound.startsWith("(")) return ({ score }) => score <= scoreOf(bound);
  return ({ score }) => score < scoreOf(bound.slice(1));
}

function isMemberFrom(bound: string): (row: Row) => boolean {
  if (bound === "-") return () => true;
  if (bound === "+") return () => false;
  const text = bound.slice(1);
  return ({ member }) => (bound.startsWith("(") ? member > text : member >= text);
}

function isMemberTo(bound: string): (row: Row) => boolean {
  if (bound === "+") return () => true;
  if (bound === "-") return () => false;
  const text = bound.slice(1);
  return ({ member }) => (bound.startsWith("(") ? member < text : member <= text);
}

/** The rows from the first to the last that both hold for; both are true in one run of the order. */
function between(rows: readonly Row[], isFrom: (row: Row) => boolean, isTo: (row: Row) => boolean): readonly Row[] {
  const from = firstWhere(rows, isFrom);
  const to = firstWhere(rows, (row) => !isTo(row));
  return rows.slice(from, Math.max(from, to));
}

function firstWhere(rows: readonly Row[], isTrue: (row: Row) => boolean): number {
  let low = 0;
  for (let high = rows.length; low < high;) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (row !== undefined && isTrue(row)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function chosen(rows: readonly Row[], options: readonly string[]): readonly string[] {
  const names = options.map((option) => option.toUpperCase());
  const limitAt = names.indexOf("LIMIT");
  const offset = limitAt < 0 ? 0 : wholeNumber(options[limitAt + 1] ?? "");
  const count = limitAt < 0 ? -1 : wholeNumber(options[limitAt + 2] ?? "");
  const part = rows.slice(offset, count < 0 ? undefined : offset + count);
  return names.includes("WITHSCORES") ? withScores(part) : part.map(({ member }) => member);
}

const withScores = (rows: readonly Row[]): readonly string[] =>
  rows.flatMap(({ member, score }) => [member, String(score)]);

function ranked(rows: readonly Row[], first: string, last: string): readonly Row[] {
  const place = (text: string): number => {
    const index = wholeNumber(text);
    return index < 0 ? rows.length + index : index;
  };
  return rows.slice(Math.max(0, place(first)), Math.max(0, place(last) + 1));
}

function removeAll(keys: Keyspace, key: string, members: readonly string[]): number {
  const set = keys.find(key, "sorted set");
  if (set === null) return 0;
  const count = members.filter((member) => set.delete(member)).length;
  keys.tidy(key);
  return count;
}

const membersOf = (rows: readonly Row[]): readonly string[] => rows.map(({ member }) => member);

export const SORTED_SET_COMMANDS: Readonly<Record<string, Command>> = {
  ZADD({ keys }, [key = "", ...rest]) {
    const mode = rest[0] === "NX" || rest[0] === "XX" ? rest[0] : null;
    const pairs = mode === null ? rest : rest.slice(1);
    if (pairs.length === 0 || pairs.length % 2 !== 0) throw new Error("syntax error");
    const set = keys.sortedSet(key);
    let added = 0;
    for (let at = 0; at < pairs.length; at += 2) {
      const [score, member] = [scoreOf(pairs[at] ?? ""), pairs[at + 1] ?? ""];
      const isThere = set.score(member) !== null;
      if (mode === null || isThere === (mode === "XX")) added += set.set(member, score) ? 1 : 0;
    }
    keys.tidy(key);
    return added;
  },
  ZINCRBY({ keys }, [key = "", by = "", member = ""]) {
    const set = keys.sortedSet(key);
    const score = (set.score(member) ?? 0) + scoreOf(by);
    set.set(member, score);
    return String(score);
  },
  ZREM: ({ keys }, [key = "", ...members]) => removeAll(keys, key, members),
  ZSCORE({ keys }, [key = "", member = ""]) {
    const score = keys.find(key, "sorted set")?.score(member) ?? null;
    return score === null ? null : String(score);
  },
  ZMSCORE({ keys }, [key = "", ...members]) {
    const set = keys.find(key, "sorted set");
    return members.map((member) => {
      const score = set?.score(member) ?? null;
      return score === null ? null : String(score);
    });
  },
  ZCARD: ({ keys }, [key = ""]) => rowsOf(keys, key).length,
  ZCOUNT: ({ keys }, [key = "", from = "", to = ""]) =>
    between(rowsOf(keys, key), isScoreFrom(from), isScoreTo(to)).length,
  ZRANGE: ({ keys }, [key = "", first = "", last = "", ...options]) =>
    chosen(ranked(rowsOf(keys, key), first, last), options),
  ZREVRANGE: ({ keys }, [key = "", first = "", last = "", ...options]) =>
    chosen(ranked(rowsOf(keys, key).toReversed(), first, last), options),
  ZRANGEBYSCORE: ({ keys }, [key = "", from = "", to = "", ...options]) =>
    chosen(between(rowsOf(keys, key), isScoreFrom(from), isScoreTo(to)), options),
  ZREVRANGEBYSCORE: ({ keys }, [key = "", to = "", from = "", ...options]) =>
    chosen(between(rowsOf(keys, key), isScoreFrom(from), isScoreTo(to)).toReversed(), options),
  ZRANGEBYLEX: ({ keys }, [key = "", from = "", to = "", ...options]) =>
    chosen(between(rowsOf(keys, key), isMemberFrom(from), isMemberTo(to)), options),
  ZREVRANGEBYLEX: ({ keys }, [key = "", to = "", from = "", ...options]) =>
    chosen(between(rowsOf(keys, key), isMemberFrom(from), isMemberTo(to)).toReversed(), options),
  ZREMRANGEBYSCORE: ({ keys }, [key = "", from = "", to = ""]) =>
    removeAll(keys, key, membersOf(between(rowsOf(keys, key), isScoreFrom(from), isScoreTo(to)))),
  ZREMRANGEBYRANK: ({ keys }, [key = "", first = "", last = ""]) =>
    removeAll(keys, key, membersOf(ranked(rowsOf(keys, key), first, last))),
  ZPOPMIN({ keys }, [key = "", count = "1"]) {
    const rows = rowsOf(keys, key).slice(0, wholeNumber(count));
    removeAll(keys, key, membersOf(rows));
    return withScores(rows);
  },
};

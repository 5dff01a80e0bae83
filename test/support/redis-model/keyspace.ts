/** The keys of the model: values by kind, each of which may have a time at which it is gone. */
import type { SortedSet } from "./sorted-set.ts";
import { createSortedSet } from "./sorted-set.ts";

export interface TextValue {
  readonly kind: "text";
  text: string;
}

export interface Hash {
  readonly kind: "hash";
  readonly fields: Map<string, string>;
}

export interface List {
  readonly kind: "list";
  /** From the left. */
  readonly items: string[];
}

export interface StreamEntry {
  readonly id: string;
  readonly fields: readonly string[];
  /** Which one it is of all that were ever added, from 1. */
  readonly number: number;
}

export interface StreamGroup {
  /** Number of the newest entry that was read. */
  read: number;
  /** Id of what was read and not acknowledged -> when it was given away last. */
  readonly pending: Map<string, number>;
}

export interface Stream {
  readonly kind: "stream";
  entries: StreamEntry[];
  added: number;
  /** The two parts of the newest id. */
  last: readonly [number, number];
  readonly groups: Map<string, StreamGroup>;
}

export type Value = TextValue | Hash | List | SortedSet | Stream;

type Kinds = { [Each in Value as Each["kind"]]: Each };

export interface Keyspace {
  /** Null when there is none. Throws as Redis does when it is of another kind. */
  find<Kind extends Value["kind"]>(key: string, kind: Kind): Kinds[Kind] | null;
  has(key: string): boolean;
  /** As TYPE calls it. */
  typeOf(key: string): string;
  hash(key: string): Hash;
  list(key: string): List;
  sortedSet(key: string): SortedSet;
  stream(key: string): Stream;
  setText(key: string, text: string, expiresAtMs: number | null): void;
  /** False when there is no such key. */
  expire(key: string, atMs: number): boolean;
  delete(key: string): boolean;
  /** What holds nothing any more is gone. */
  tidy(key: string): void;
  clear(): void;
  names(): readonly string[];
  weight(key: string): Weight;
  /** All that lies under it. */
  texts(key: string): readonly string[];
}

export interface Weight {
  readonly entries: number;
  readonly bytes: number;
}

const TYPES = {
  text: "string",
  hash: "hash",
  list: "list",
  "sorted set": "zset",
  stream: "stream",
  none: "none",
} as const;

interface Entry {
  readonly value: Value;
  expiresAtMs: number | null;
}

export function createKeyspace(now: () => number): Keyspace {
  const entries = new Map<string, Entry>();

  function live(key: string): Entry | null {
    const entry = entries.get(key);
    if (entry === undefined) return null;
    if (entry.expiresAtMs === null || entry.expiresAtMs > now()) return entry;
    entries.delete(key);
    return null;
  }

  function find<Kind extends Value["kind"]>(key: string, kind: Kind): Kinds[Kind] | null {
    const value = live(key)?.value;
    if (value === undefined) return null;
    if (!isOfKind(value, kind)) throw new Error(`WRONGTYPE ${key} is a ${value.kind}, not a ${kind}`);
    return value;
  }

  function make<Kind extends Value["kind"]>(key: string, kind: Kind, create: () => Kinds[Kind]): Kinds[Kind] {
    const found = find(key, kind);
    if (found !== null) return found;
    const value = create();
    entries.set(key, { value, expiresAtMs: null });
    return value;
  }

  function texts(key: string): readonly string[] {
    const value = live(key)?.value;
    return value === undefined ? [] : textsOf(value);
  }

  return {
    find,
    has: (key) => live(key) !== null,
    typeOf: (key) => TYPES[live(key)?.value.kind ?? "none"],
    hash: (key) => make(key, "hash", () => ({ kind: "hash", fields: new Map() })),
    list: (key) => make(key, "list", () => ({ kind: "list", items: [] })),
    sortedSet: (key) => make(key, "sorted set", createSortedSet),
    stream: (key) =>
      make(key, "stream", () => ({ kind: "stream", entries: [], added: 0, last: [0, 0], groups: new Map() })),
    setText: (key, text, expiresAtMs) => void entries.set(key, { value: { kind: "text", text }, expiresAtMs }),
    expire(key, atMs) {
      const entry = live(key);
      if (entry === null) return false;
      entry.expiresAtMs = atMs;
      return true;
    },
    delete: (key) => live(key) !== null && entries.delete(key),
    tidy(key) {
      const value = live(key)?.value;
      if (value !== undefined && sizeOf(value) === 0) entries.delete(key);
    },
    clear: () => entries.clear(),
    names: () => Array.from(entries.keys()).filter((key) => live(key) !== null),
    texts,
    weight(key) {
      const value = live(key)?.value;
      return {
        entries: value === undefined ? 0 : sizeOf(value),
        bytes: texts(key).reduce((sum, { length }) => sum + length, key.length),
      };
    },
  };
}

function isOfKind<Kind extends Value["kind"]>(value: Value, kind: Kind): value is Kinds[Kind] {
  return value.kind === kind;
}

function sizeOf(value: Value): number {
  switch (value.kind) {
    case "text":
      return 1;
    case "hash":
      return value.fields.size;
    case "list":
      return value.items.length;
    case "sorted set":
      return value.rows().length;
    case "stream":
      return value.entries.length;
  }
}

function textsOf(value: Value): readonly string[] {
  switch (value.kind) {
    case "text":
      return [value.text];
    case "hash":
      return Array.from(value.fields).flat();
    case "list":
      return value.items;
    case "sorted set":
      return value.rows().map(({ member }) => member);
    case "stream":
      return value.entries.flatMap(({ fields }) => fields);
  }
}

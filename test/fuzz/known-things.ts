/** What the answers told so far: ids, cursors and keys that later requests use, of the caller's tenant and of others. */
import type { Chance } from "../simulation/chance.ts";

/** `later` is an event whose `deliver_at` is far off, which alone can be cancelled. */
export type Thing = "evt" | "ep" | "dlv" | "key" | "later";

/** Of each kind, newest last. */
const KEPT_MAX = 200;
const idPattern = /\b(evt|ep|dlv|key)_[0-7][0-9a-hjkmnp-tv-z]{25}\b/g;

export interface KnownThings {
  /** Learns from an answer's text. */
  learn(text: string): void;
  /** Learns that this event is for later. */
  isForLater(id: string): void;
  id(chance: Chance, thing: Thing): string;
  cursor(chance: Chance): string;
  forget(id: string): void;
}

/** `protectedIds` are never handed out: the keys that the run itself needs. */
export function createKnownThings(protectedIds: ReadonlySet<string>): KnownThings {
  const things: Record<Thing, Set<string>> = {
    evt: new Set(),
    ep: new Set(),
    dlv: new Set(),
    key: new Set(),
    later: new Set(),
  };
  const cursors = new Set<string>();

  function keep(set: Set<string>, value: string): void {
    set.delete(value);
    set.add(value);
    const oldest = set.values().next().value;
    if (set.size > KEPT_MAX && oldest !== undefined) set.delete(oldest);
  }

  return {
    learn(text) {
      for (const [id, thing] of text.matchAll(idPattern)) {
        if (!protectedIds.has(id)) keep(things[thing as Thing], id);
      }
      for (const [, cursor = ""] of text.matchAll(/"next_cursor":"([^"]+)"/g)) keep(cursors, cursor);
    },
    isForLater: (id) => keep(things.later, id),
    id(chance, thing) {
      const ids = [...things[thing]];
      if (ids.length === 0 || chance.isTrue(0.05)) return oddId(chance, thing === "later" ? "evt" : thing, ids);
      // The newest most of all, as older ones are gone more often.
      return chance.pick(chance.isTrue(0.7) ? ids.slice(-20) : ids);
    },
    cursor(chance) {
      const found = cursors.size === 0 ? "" : chance.pick([...cursors]);
      return chance.isTrue(0.5) ? found : tampered(chance, found);
    },
    forget(id) {
      for (const set of Object.values(things)) set.delete(id);
    },
  };
}

function oddId(chance: Chance, thing: Thing, ids: readonly string[]): string {
  const kinds = [
    `${thing}_${"0".repeat(26)}`,
    `${thing}_${"7".repeat(26)}`,
    `${thing}_${"8".repeat(26)}`,
    `${thing}_`,
    `${thing}_${"z".repeat(2000)}`,
    "%00",
    "%",
    "%ff%fe",
    "..",
    "%2e%2e%2f",
    "a%2Fb",
    "a.b",
    "\u00e9",
    "__proto__",
    (ids[0] ?? "evt_x").toUpperCase(),
  ];
  return chance.pick(kinds);
}

function tampered(chance: Chance, cursor: string): string {
  const at = chance.whole(0, Math.max(0, cursor.length - 1));
  const kinds = [
    cursor.slice(0, at),
    `${cursor.slice(0, at)}A${cursor.slice(at + 1)}`,
    `${cursor}${cursor}`,
    `${cursor}=`,
    cursor.toUpperCase(),
    btoa('["k",1e400,null,{}]'),
    btoa("e.1.2.3"),
    "e.-1.-1",
    "999999999999999.",
    "999999999999999.x",
    "0.",
    "-1.",
    "x".repeat(512),
    "x".repeat(513),
    "\u00e9",
    "",
  ];
  return chance.pick(kinds);
}

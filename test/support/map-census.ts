/**
 * Counts what every Map and Set of the program holds, by the place that made it. Imported before all else, for it puts its own
 * kinds in place of the runtime's. For the month and the fuzzer: a structure that grows shows by its file and line, wherever it hides.
 */

interface Known {
  readonly held: WeakRef<{ readonly size: number }>;
  readonly place: string;
}

const PlainMap = Map;
const PlainSet = Set;
const known: Known[] = [];
/** Each place once, so that what is noted adds two objects for a Map and no text. */
const places = new PlainMap<string, string>();
/** Collected ones are taken out when so many have come. */
const SWEEP_EVERY = 50_000;
let sweepAt = SWEEP_EVERY;

function note(held: { readonly size: number }): void {
  const place = placeOf(new Error("here").stack ?? "");
  if (place === null) return;
  known.push({ held: new WeakRef(held), place });
  if (known.length < sweepAt) return;
  sweep();
  sweepAt = known.length + SWEEP_EVERY;
}

function sweep(): void {
  const living = known.filter(({ held }) => held.deref() !== undefined);
  known.splice(0, known.length, ...living);
}

/** File and line of the product's own code nearest to the making; null for tests and libraries. */
function placeOf(stack: string): string | null {
  const found = /\/((?:shared|gateway|processor)\/(?!node_modules)[\w/-]+\.ts:\d+)/.exec(stack);
  const place = found?.[1] ?? null;
  if (place === null) return null;
  const first = places.get(place) ?? place;
  places.set(place, first);
  return first;
}

/** A kind that notes each of its making, subclasses included, and is the plain one otherwise. */
function counted<Kind extends new (...parts: never[]) => { readonly size: number }>(plain: Kind): Kind {
  const kind: Kind = new Proxy(plain, {
    construct(target, parts, newTarget) {
      const made = Reflect.construct(target, parts, newTarget === kind ? target : newTarget) as {
        readonly size: number;
      };
      note(made);
      return made;
    },
  });
  return kind;
}

globalThis.Map = counted(PlainMap);
globalThis.Set = counted(PlainSet);

/** Entries by place, of all that live there together, after a collection. */
export function countMaps(): ReadonlyMap<string, number> {
  Bun.gc(true);
  sweep();
  const counts = new PlainMap<string, number>();
  for (const { held, place } of known) {
    counts.set(`map ${place}`, (counts.get(`map ${place}`) ?? 0) + (held.deref()?.size ?? 0));
  }
  return counts;
}

/** The catalogue of event types, all of it in memory, written through; what changed holds from the turn after its commit. */
import * as v from "valibot";
import type { Catalogue, CatalogueType } from "../../domain/event-types.ts";
import { CATALOGUE_BYTES_MAX, CatalogueTypeRecord, catalogueOf, EVENT_TYPES_MAX } from "../../domain/event-types.ts";
import { PosthasteError } from "../../domain/errors.ts";
import type { EventTypes } from "../../ports/event-types.ts";
import type { Database } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";
import { readable, rowDamaged } from "./row-damage.ts";

interface TypeRow {
  readonly name: string;
  /** JSON of the type. */
  readonly record: string;
}

export interface CatalogueBounds {
  readonly typesMax: number;
  readonly bytesMax: number;
}

export const CATALOGUE_BOUNDS: CatalogueBounds = { typesMax: EVENT_TYPES_MAX, bytesMax: CATALOGUE_BYTES_MAX };

/** A row that does not read back is told and left out. */
export function openEventTypes(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly onFault: (error: unknown) => void;
  readonly bounds?: CatalogueBounds;
}): EventTypes {
  const { database, writer, onFault, bounds = CATALOGUE_BOUNDS } = options;
  const rows = database.prepare<TypeRow>("SELECT name, record FROM event_types");
  const others = database.prepare<{ count: number; bytes: number }>(
    "SELECT count(*) AS count, ifnull(sum(length(record)), 0) AS bytes FROM event_types WHERE name <> ?",
  );
  const write = database.prepare(
    "INSERT INTO event_types VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET record = excluded.record",
  );
  const drop = database.prepare("DELETE FROM event_types WHERE name = ?");
  let version = 0;
  let catalogue = catalogueOf(
    "0",
    rows.all().flatMap((row) => readable(() => typeOf(row), onFault) ?? []),
  );

  function put(type: CatalogueType): void {
    const record = JSON.stringify(type);
    const { count, bytes } = others.get(type.name) ?? { count: 0, bytes: 0 };
    requireRoom(count + 1, bytes + record.length, bounds);
    write.run(type.name, record);
  }

  /** Rows that did not read back are no part of it, and stay in the table. */
  function change(types: Iterable<CatalogueType>): void {
    version++;
    catalogue = catalogueOf(String(version), types);
  }

  return {
    known: (): Catalogue => catalogue,
    read: () => Promise.resolve(catalogue),
    async put(type) {
      const bytes = JSON.stringify(type).length;
      await writer.write(
        () => put(type),
        bytes,
        () => change(new Map([...catalogue.types, [type.name, type]]).values()),
      );
    },
    async remove(name) {
      return await writer.write(
        () => Number(drop.run(name).changes) > 0,
        name.length,
        () => change([...catalogue.types.values()].filter((type) => type.name !== name)),
      );
    },
  };
}

/** Throws `limit-reached`. */
function requireRoom(count: number, bytes: number, { typesMax, bytesMax }: CatalogueBounds): void {
  if (count > typesMax) {
    throw new PosthasteError("limit-reached", `The catalogue has ${typesMax} event types, its most; delete one first.`);
  }
  if (bytes <= bytesMax) return;
  const detail = `The catalogue may have ${bytesMax} bytes of descriptions, schemas and examples in all; shorten some, or delete a type.`;
  throw new PosthasteError("limit-reached", detail);
}

function typeOf({ name, record }: TypeRow): CatalogueType {
  const parsed = v.safeParse(CatalogueTypeRecord, parsedJson(record));
  if (parsed.success && parsed.output.name === name) return parsed.output;
  throw rowDamaged(`The row of the event type ${name} in the database does not read back`);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * The catalogue of event types, one for the deployment. A process keeps all of it: what is asked for each event comes from memory.
 * A change is known at once where it was made and within 5 s on every gateway that can ask its store (at the edge within 30 s); as a
 * rule at once there too, for it is announced. One that cannot ask goes on with the catalogue that it knows, and takes any event
 * while it knows none.
 */
import type { Catalogue, CatalogueType } from "../domain/event-types.ts";

export interface EventTypes {
  /** From memory as long as that may be; a promise where the store has to be asked. Null while none is known. Never rejects. */
  known(): Catalogue | null | Promise<Catalogue | null>;
  /** As the store has it now; rejects with `store-unavailable` when it does not answer. */
  read(): Promise<Catalogue>;
  /**
   * Durable when it resolves; a type of the same name is replaced. Throws `limit-reached` past `EVENT_TYPES_MAX` types or
   * `CATALOGUE_BYTES_MAX` in all.
   */
  put(type: CatalogueType): Promise<void>;
  /** True when there was one. */
  remove(name: string): Promise<boolean>;
}

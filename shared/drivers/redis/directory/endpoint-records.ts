/**
 * Endpoints as they lie in Redis, one by one: found, listed, and written only over what was seen. A write that meets a Redis that
 * lost what was seen waits for `load`, and is made again.
 */
import { PosthasteError, storeFault } from "../../../domain/errors.ts";
import type { Sealer } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { Page } from "../../../ports/dead-letters.ts";
import type { Directory, EndpointFilter } from "../../../ports/directory.ts";
import type { DirectoryReader } from "./reader.ts";
import { endpointOf, endpointText, readableEndpoint, statusOf } from "./record.ts";
import type { DirectoryStore, ListedEndpoint, Seen } from "./store.ts";
import { isAsSeen } from "./store.ts";

/** A write or a look-up that meets a loss waits for the repair and is made again, at most so often in all. */
const ROUNDS_MAX = 3;
/** An update that finds the endpoint changed under its hands begins again, at most so often. */
const UPDATE_ROUNDS_MAX = 32;
/** As many as a tenant may have: its endpoints of a status are one page. */
const LOOKED_MAX = 1000;

interface SeenReader {
  /** What a write or a look-up goes by. */
  readonly seen: DirectoryReader["seen"];
  /** Sees what is there now. Rejects with `store-unavailable`. */
  load(tenant: string): Promise<unknown>;
}

export function createEndpointRecords(options: {
  readonly store: DirectoryStore;
  readonly reader: SeenReader;
  readonly sealer: Sealer;
  readonly endpointsMax: number;
  /** Called after each change, and waited for. */
  readonly onWritten: (tenant: string) => Promise<void>;
  /** Told of records that do not read back. */
  readonly onFault: (error: unknown) => void;
}): Pick<Directory, "find" | "list" | "create" | "update" | "remove"> {
  const { store, reader, sealer, endpointsMax, onFault } = options;
  const write = createWrite(reader, options.onWritten);
  return {
    async find(tenant, endpointId) {
      const stored = await findStored(store, reader, tenant, endpointId);
      return stored === null ? null : endpointOf(tenant, endpointId, stored, sealer);
    },
    async list(filter, limit, cursor) {
      const { rows, next } = await listStored(store, filter, limit, cursor);
      return { rows: rows.flatMap((row) => readableEndpoint(row, sealer, onFault) ?? []), next };
    },
    async create(endpoint) {
      const text = endpointText(endpoint, sealer);
      const { tenant } = endpoint;
      const answer = await write(tenant, (seen) => store.create(seen, endpoint, text, endpointsMax));
      if (answer === "limit") {
        throw new PosthasteError("limit-reached", `A tenant has at most ${endpointsMax} endpoints. Remove one first.`);
      }
      assert(answer === "ok", "an endpoint is created once");
    },
    update: createUpdate({ store, reader, write, sealer }),
    async remove(tenant, endpointId) {
      return (await write(tenant, (seen) => store.remove(seen, tenant, endpointId))) === "ok";
    },
  };
}

/** By status, a page is picked out of `LOOKED_MAX` endpoints at most. */
async function listStored(
  store: DirectoryStore,
  { tenant, status }: EndpointFilter,
  limit: number,
  cursor: string | null,
): Promise<Page<ListedEndpoint>> {
  if (status === undefined) return store.list(tenant, limit, cursor);
  const looked = await store.list(tenant, LOOKED_MAX, cursor);
  const found = looked.rows.filter(({ stored }) => statusOf(stored) === status);
  const rows = found.slice(0, limit);
  return { rows, next: found.length > limit ? (rows.at(-1)?.cursor ?? null) : looked.next };
}

/** Writes only over what was read, and begins again when another write came between. */
function createUpdate(deps: {
  readonly store: DirectoryStore;
  readonly reader: SeenReader;
  readonly write: ReturnType<typeof createWrite>;
  readonly sealer: Sealer;
}): Directory["update"] {
  const { store, reader, write, sealer } = deps;
  return async (tenant, endpointId, change) => {
    for (let round = 0; round < UPDATE_ROUNDS_MAX; round++) {
      const stored = await findStored(store, reader, tenant, endpointId);
      if (stored === null) return null;
      const old = endpointOf(tenant, endpointId, stored, sealer);
      const endpoint = change(old);
      const isSame = endpoint.id === endpointId && endpoint.tenant === tenant;
      assert(isSame && endpoint.createdAtMs === old.createdAtMs, "a change keeps the endpoint's name and age");
      // Nothing to write, and so nothing that would make others begin again.
      if (endpoint === old) return endpoint;
      const text = endpointText(endpoint, sealer);
      const answer = await write(tenant, (seen) => store.update(seen, tenant, endpointId, stored, text));
      if (answer === "ok") return endpoint;
      if (answer === "none") return null;
    }
    throw new PosthasteError("overloaded", "The endpoint is being changed too often at the moment. Try again.");
  };
}

/** Place and text of the endpoint; an answer of a Redis that lost what was seen is not believed. */
async function findStored(
  store: DirectoryStore,
  reader: SeenReader,
  tenant: string,
  endpointId: string,
): Promise<string | null> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const seen = reader.seen(tenant);
    const reply = await store.find(tenant, endpointId);
    if (isAsSeen(reply, seen)) return reply.stored;
    await reader.load(tenant);
  }
  throw underRepair();
}

/** Makes a write, again after a loss was repaired. */
function createWrite(reader: SeenReader, onWritten: (tenant: string) => Promise<void>) {
  return async (tenant: string, attempt: (seen: Seen) => Promise<string>): Promise<string> => {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const answer = await attempt(reader.seen(tenant));
      if (answer === "ok") await onWritten(tenant);
      if (answer !== "lost") return answer;
      await reader.load(tenant);
    }
    throw underRepair();
  };
}

function underRepair(): PosthasteError {
  return storeFault("The directory in Redis was lost and is being repaired.");
}

/**
 * Endpoints, all in memory, written through. A change and its version are one commit, and memory follows within the
 * same turn, so that `version` and `endpoints` never disagree and never wait.
 */
import type { Clock, Sealer } from "../../lib/ambient.ts";
import { PosthasteError } from "../../domain/errors.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { ENDPOINTS_PER_TENANT_MAX } from "../../domain/endpoint.ts";
import { assert } from "../../lib/assert.ts";
import type { Directory, EndpointFilter, TenantEndpoints } from "../../ports/directory.ts";
import type { Notifier } from "../../ports/notifier.ts";
import { createConditions } from "./conditions.ts";
import { assertLimit, createPage, decodeCursor, encodeCursor } from "./cursor.ts";
import type { Database } from "./database.ts";
import type { EndpointRow } from "./endpoint-row.ts";
import { loadTenants, tenantOf } from "./directory-memory.ts";
import { endpointOf, endpointValues } from "./endpoint-row.ts";
import type { GroupCommit } from "./group-commit.ts";
import { readable } from "./row-damage.ts";
import { readBehind } from "./stretches.ts";

/** Rows that one page by status is made of: as many as a tenant may have. */
const LOOKED_MAX = 1000;
/** Tenants without endpoints whose version is kept, in memory and on disk. */
const EMPTY_TENANTS_MAX = 10_000;
/** No tenant has this name: its row has the highest version that was forgotten. */
const FORGOTTEN = "";
/** Versions are times in ms, or one more than the last: a higher one was written by hand, and is forgotten. */
const VERSION_MAX = 9e15;
/** What a row costs, about. */
const ROW_BYTES = 1024;

export interface EmbeddedDirectory extends Directory {
  /** `<tenant>/<endpoint>` of those whose row does not read back. */
  damaged(): readonly string[];
}

export function openDirectory(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly sealer: Sealer;
  readonly notifier: Notifier;
  readonly clock: Pick<Clock, "now">;
  /** Gets what failed when versions were forgotten, which are tried again with the next, and rows that are passed over. */
  readonly onFault: (error: unknown) => void;
  readonly endpointsMax?: number;
  readonly emptyTenantsMax?: number;
}): EmbeddedDirectory {
  const { database, writer, sealer, notifier, clock, endpointsMax = ENDPOINTS_PER_TENANT_MAX } = options;
  const { emptyTenantsMax = EMPTY_TENANTS_MAX, onFault } = options;
  const rows = createEndpointRows(database);
  const memory = loadTenants(database, sealer, onFault);
  /** What is known of a tenant that is not in memory: the highest version that was forgotten, and no endpoints. */
  let others: TenantEndpoints = memory.get(FORGOTTEN) ?? { version: 0, endpoints: [] };
  memory.delete(FORGOTTEN);
  const emptied = emptyTenants(memory);

  /** After COMMIT. */
  function remember(tenant: string, version: number, endpointId: string, changed: Endpoint | null): void {
    const before = memory.get(tenant) ?? others;
    const endpoints = withChange(before.endpoints, endpointId, changed);
    const unreadable = before.unreadable?.filter((id) => id !== endpointId) ?? [];
    memory.set(tenant, tenantOf(version, endpoints, unreadable));
    emptied.delete(tenant);
    if (endpoints.length + unreadable.length === 0) emptied.set(tenant, version);
    if (emptied.size > emptyTenantsMax) void forgetOldest().catch(onFault);
    notifier.publish({ kind: "directory-changed", tenant, endpointId });
  }

  /** Those that were emptied first; one that was changed since is left alone. */
  async function forgetOldest(): Promise<void> {
    const oldest = [...emptied].slice(0, emptied.size - emptyTenantsMax);
    const write = (): number => {
      for (const [tenant, version] of oldest) rows.forget(tenant, version);
      return rows.version(FORGOTTEN);
    };
    await writer.write(write, ROW_BYTES, (version) => {
      others = { version, endpoints: [] };
      for (const [tenant, last] of oldest) {
        if (emptied.get(tenant) !== last) continue;
        emptied.delete(tenant);
        memory.delete(tenant);
      }
    });
  }

  function insert(endpoint: Endpoint): number {
    if (rows.count(endpoint.tenant) >= endpointsMax) {
      throw new PosthasteError("limit-reached", `A tenant has at most ${endpointsMax} endpoints. Remove one first.`);
    }
    rows.insert(endpointValues(endpoint, sealer));
    return rows.raiseVersion(endpoint.tenant, clock.now());
  }

  return {
    version: (tenant) => Promise.resolve((memory.get(tenant) ?? others).version),
    peek: (tenant) => memory.get(tenant) ?? others,
    endpoints: (tenant) => Promise.resolve(memory.get(tenant) ?? others),
    async find(tenant, endpointId) {
      const known = memory.get(tenant);
      if (known?.unreadable?.includes(endpointId) !== true) {
        return known?.endpoints.find(({ id }) => id === endpointId) ?? null;
      }
      const row = rows.find(tenant, endpointId);
      return row === null ? null : endpointOf(row, sealer);
    },
    damaged: () =>
      [...memory].flatMap(([tenant, { unreadable = [] }]) => unreadable.map((id) => `${tenant}/${id.slice(0, 64)}`)),
    async list(filter, limit, cursor) {
      assertLimit(limit);
      const after = cursor === null ? null : decodeCursor("n", 2, cursor);
      const { rows: looked, isCut } = readEndpoints(database, filter, after, limit);
      const keysOf = (row: EndpointRow): readonly number[] => [row.created_at, row.id];
      const meant = looked.filter(({ status }) => filter.status === undefined || status === filter.status);
      const page = createPage({
        kind: "n",
        limit,
        rows: meant,
        keysOf,
        show: (row) => readable(() => endpointOf(row, sealer), onFault),
      });
      const last = looked.at(-1);
      return page.next === null && isCut && last !== undefined
        ? { ...page, next: encodeCursor("n", keysOf(last)) }
        : page;
    },
    async create(endpoint) {
      await writer.write(
        () => insert(endpoint),
        ROW_BYTES,
        (version) => {
          remember(endpoint.tenant, version, endpoint.id, endpoint);
        },
      );
    },
    async update(tenant, endpointId, change) {
      const write = (): { readonly endpoint: Endpoint; readonly version: number } | null => {
        // The row and not memory: an earlier operation of the same commit may have changed it.
        const row = rows.find(tenant, endpointId);
        if (row === null) return null;
        const endpoint = change(endpointOf(row, sealer));
        assert(endpoint.id === endpointId && endpoint.tenant === tenant, "a change keeps the endpoint's name");
        rows.update(row.id, endpointValues(endpoint, sealer));
        return { endpoint, version: rows.raiseVersion(tenant, clock.now()) };
      };
      const changed = await writer.write(write, ROW_BYTES, (done) => {
        if (done !== null) remember(tenant, done.version, endpointId, done.endpoint);
      });
      return changed?.endpoint ?? null;
    },
    async remove(tenant, endpointId) {
      const write = (): number | null =>
        rows.remove(tenant, endpointId) ? rows.raiseVersion(tenant, clock.now()) : null;
      const version = await writer.write(write, 0, (raised) => {
        if (raised !== null) remember(tenant, raised, endpointId, null);
      });
      return version !== null;
    },
  };
}

/**
 * The endpoints that one page is made of: one more than its rows, or `LOOKED_MAX` where not all may be meant. `isCut`:
 * there may be more.
 */
function readEndpoints(
  database: Database,
  { tenant, status }: EndpointFilter,
  after: readonly number[] | null,
  limit: number,
): { readonly rows: readonly EndpointRow[]; readonly isCut: boolean } {
  const count = status === undefined ? limit + 1 : LOOKED_MAX;
  const rows = readBehind({
    prepare: (sql) => database.prepare<EndpointRow>(sql),
    select: "SELECT * FROM endpoints",
    range: createConditions().and("tenant = ?", tenant ?? undefined),
    keys: ["created_at", "id"],
    sign: ">",
    after,
    count,
  });
  return { rows, isCut: rows.length === count };
}

/** `changed` takes the place of the endpoint of that id, or the last place; null removes it. */
function withChange(known: readonly Endpoint[], endpointId: string, changed: Endpoint | null): readonly Endpoint[] {
  if (changed === null) return known.filter(({ id }) => id !== endpointId);
  const isKnown = known.some(({ id }) => id === endpointId);
  return isKnown ? known.map((old) => (old.id === endpointId ? changed : old)) : [...known, changed];
}

/** By version, which is the order in which they were emptied. */
function emptyTenants(memory: ReadonlyMap<string, TenantEndpoints>): Map<string, number> {
  const empty = [...memory].filter(
    ([, { endpoints, unreadable }]) => endpoints.length === 0 && unreadable === undefined,
  );
  return new Map(
    empty.map(([tenant, { version }]) => [tenant, version] as const).toSorted((one, other) => one[1] - other[1]),
  );
}

function createEndpointRows(database: Database) {
  const insert = database.prepare("INSERT INTO endpoints VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const find = database.prepare<EndpointRow>("SELECT * FROM endpoints WHERE tenant = ? AND endpoint_id = ?");
  const update = database.prepare("INSERT OR REPLACE INTO endpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const remove = database.prepare("DELETE FROM endpoints WHERE tenant = ? AND endpoint_id = ?");
  const count = database.prepare<{ count: number }>("SELECT count(*) AS count FROM endpoints WHERE tenant = ?");
  // The time, so that a version that was forgotten is never given out again.
  const raise = database.prepare<{ version: number }>(
    `INSERT INTO directory_versions VALUES (?1, max(?2, 1 + ifnull((SELECT version FROM directory_versions WHERE tenant = ''), 0)))
     ON CONFLICT DO UPDATE SET version = CASE WHEN version BETWEEN 0 AND ${VERSION_MAX} THEN max(version + 1, ?2) ELSE ?2 END RETURNING version`,
  );
  const forget = database.prepare(
    "DELETE FROM directory_versions WHERE tenant = ?1 AND version = ?2 AND NOT EXISTS (SELECT 1 FROM endpoints WHERE tenant = ?1)",
  );
  const keepHighest = database.prepare(
    "INSERT INTO directory_versions VALUES ('', ?) ON CONFLICT DO UPDATE SET version = max(version, excluded.version)",
  );
  const version = database.prepare<{ version: number }>("SELECT version FROM directory_versions WHERE tenant = ?");
  return {
    insert: (values: Parameters<typeof insert.run>) => void insert.run(...values),
    find: (tenant: string, endpointId: string) => find.get(tenant, endpointId) ?? null,
    update: (id: number, values: Parameters<typeof update.run>) => void update.run(id, ...values),
    remove: (tenant: string, endpointId: string) => Number(remove.run(tenant, endpointId).changes) === 1,
    count: (tenant: string) => count.get(tenant)?.count ?? 0,
    raiseVersion(tenant: string, nowMs: number): number {
      const raised = raise.get(tenant, Math.floor(nowMs))?.version;
      assert(raised !== undefined, "an upsert returns its row");
      return raised;
    },
    version: (tenant: string) => version.get(tenant)?.version ?? 0,
    forget(tenant: string, lastVersion: number) {
      forget.run(tenant, lastVersion);
      keepHighest.run(lastVersion);
    },
  };
}

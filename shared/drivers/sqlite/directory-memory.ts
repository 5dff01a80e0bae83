/** What the directory keeps in memory of a tenant, and how it is read from the rows at the start. */
import * as v from "valibot";
import type { Endpoint } from "../../domain/endpoint.ts";
import { RecordedName } from "../../domain/envelope-record.ts";
import type { Sealer } from "../../lib/ambient.ts";
import { SealBroken } from "../../lib/ambient.ts";
import type { TenantEndpoints } from "../../ports/directory.ts";
import type { Database } from "./database.ts";
import type { EndpointRow } from "./endpoint-row.ts";
import { endpointOf } from "./endpoint-row.ts";
import { keepWord, opensWord } from "./master-key.ts";
import { readable } from "./row-damage.ts";

export function tenantOf(
  version: number,
  endpoints: readonly Endpoint[],
  unreadable: readonly string[],
): TenantEndpoints {
  return { version, endpoints, ...(unreadable.length === 0 ? {} : { unreadable }) };
}

/**
 * A row that does not read back is told, and costs itself. Throws `SealBroken` when the key is another one: the secrets of
 * no row open, or those of some do not and the word that was sealed with the key neither.
 */
export function loadTenants(
  database: Database,
  sealer: Sealer,
  onFault: (error: unknown) => void,
): Map<string, TenantEndpoints> {
  let opened = 0;
  const faults: unknown[] = [];
  const versions = database.prepare<{ tenant: string; version: number }>(
    "SELECT tenant, version FROM directory_versions",
  );
  const select = database.prepare<EndpointRow>("SELECT * FROM endpoints WHERE tenant = ? ORDER BY created_at, id");
  const memory = new Map<string, TenantEndpoints>();
  for (const { tenant, version } of versions.all()) {
    const endpoints: Endpoint[] = [];
    const unreadable: string[] = [];
    for (const row of select.all(tenant)) {
      const endpoint = readable(
        () => endpointOf(row, sealer),
        (error) => void faults.push(error),
      );
      if (endpoint !== null) endpoints.push(endpoint);
      else if (v.is(RecordedName, row.endpoint_id)) unreadable.push(row.endpoint_id);
    }
    opened += endpoints.length;
    memory.set(tenant, tenantOf(Number.isSafeInteger(version) && version >= 0 ? version : 0, endpoints, unreadable));
  }
  const causes = faults.map((fault) => (fault instanceof Error ? fault.cause : null));
  const broken = causes.find((cause) => cause instanceof SealBroken);
  const isWordOpen = opensWord(database, sealer);
  // With another key no row is at fault, and none is to be mended.
  if (broken !== undefined && (opened === 0 || isWordOpen === false)) throw broken;
  if (isWordOpen !== true) keepWord(database, sealer);
  faults.forEach(onFault);
  return memory;
}

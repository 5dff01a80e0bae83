/** API keys, all in memory by hash, written through; a revocation holds from the turn after its commit. */
import * as v from "valibot";
import type { ApiKey, Scope } from "../../domain/api-key.ts";
import { API_KEYS_ENDED_MAX, API_KEYS_PER_TENANT_MAX, ApiKeyRecord } from "../../domain/api-key.ts";
import { PosthasteError } from "../../domain/errors.ts";
import { TimeMs } from "../../domain/id.ts";
import type { FailureMode, LimitPolicy } from "../../domain/key-rate-limit.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { ApiKeyStore } from "../../ports/api-keys.ts";
import { createConditions } from "./conditions.ts";
import { assertLimit, createPage, decodeCursor } from "./cursor.ts";
import type { Database, SqlValue } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";
import { readable, rowDamaged } from "./row-damage.ts";
import { readBehind } from "./stretches.ts";

interface KeyRow {
  readonly id: number;
  readonly hash: string;
  readonly key_id: string;
  readonly hint: string;
  readonly name: string;
  readonly tenant: string | null;
  readonly scopes: string;
  readonly rate_limit: number | null;
  readonly rate_window_ms: number | null;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  /** Of the rate limit; kept, and without effect here: the limiter lies in the process. */
  readonly rate_failure_mode: FailureMode | null;
  readonly rate_policy: LimitPolicy | null;
}

const ROW_BYTES = 512;
/** When a key ends, by revocation or by its date; as in the index of `schema.ts`. */
const ENDS_AT = "min(ifnull(revoked_at, 9e15), ifnull(expires_at, 9e15))";

export function openApiKeyStore(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly clock: Pick<Clock, "now">;
  readonly onFault?: (error: unknown) => void;
  /** Usable keys of one tenant, and as many ended ones. */
  readonly keysMax?: number;
  /** Ended keys of all tenants. */
  readonly endedMax?: number;
}): ApiKeyStore {
  const { database, writer, clock, keysMax = API_KEYS_PER_TENANT_MAX, endedMax = API_KEYS_ENDED_MAX } = options;
  const { onFault = () => undefined } = options;
  const rows = createKeyRows(database);
  const keyByHash = new Map<string, ApiKey>();
  /** Of rows that do not read back: whether the key is valid is not known. */
  const damageByHash = new Map<string, unknown>();
  for (const row of rows.all()) {
    const key = readable(
      () => keyOf(row),
      (error) => {
        damageByHash.set(row.hash, error);
        onFault(error);
      },
    );
    if (key !== null) keyByHash.set(key.hash, key);
  }

  /** The hashes of ended keys that fell. */
  function save(key: ApiKey): readonly string[] {
    const nowMs = clock.now();
    if (!rows.isThere(key.hash) && rows.usableCount(key.tenant, nowMs) >= keysMax) {
      throw new PosthasteError("limit-reached", `There are ${keysMax} usable API keys already. Revoke one first.`);
    }
    rows.upsert(valuesOf(key));
    return [...rows.dropEnded(key.tenant, nowMs, keysMax), ...rows.dropEndedOfAll(nowMs, endedMax)];
  }

  return {
    async find(hash) {
      if (damageByHash.has(hash)) throw damageByHash.get(hash);
      return keyByHash.get(hash) ?? null;
    },
    async save(key) {
      await writer.write(
        () => save(key),
        ROW_BYTES,
        (dropped) => {
          keyByHash.set(key.hash, key);
          damageByHash.delete(key.hash);
          for (const hash of dropped) keyByHash.delete(hash);
        },
      );
    },
    async list(tenant, limit, cursor) {
      assertLimit(limit);
      const found = readBehind({
        prepare: (sql) => database.prepare<KeyRow>(sql),
        select: "SELECT * FROM api_keys",
        range: createConditions().and("tenant = ?", tenant ?? undefined),
        keys: ["created_at", "id"],
        sign: "<",
        after: cursor === null ? null : decodeCursor("k", 2, cursor),
        count: limit + 1,
      });
      return createPage({
        kind: "k",
        limit,
        rows: found,
        keysOf: (row) => [row.created_at, row.id],
        show: (row) => readable(() => keyOf(row), onFault),
      });
    },
    async revoke(tenant, keyId, atMs) {
      return await writer.write(
        () => {
          const row = rows.revoke(tenant, keyId, atMs);
          return row === null ? null : keyOf(row);
        },
        ROW_BYTES,
        (key) => {
          if (key !== null) keyByHash.set(key.hash, key);
        },
      );
    },
  };
}

function createKeyRows(database: Database) {
  const all = database.prepare<KeyRow>("SELECT * FROM api_keys");
  const upsert = database.prepare(
    `INSERT INTO api_keys VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET
       key_id = excluded.key_id, hint = excluded.hint, name = excluded.name, tenant = excluded.tenant,
       scopes = excluded.scopes, rate_limit = excluded.rate_limit, rate_window_ms = excluded.rate_window_ms,
       created_at = excluded.created_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
       rate_failure_mode = excluded.rate_failure_mode, rate_policy = excluded.rate_policy`,
  );
  const isThere = database.prepare("SELECT id FROM api_keys WHERE hash = ?");
  const usableCount = database.prepare<{ count: number }>(
    `SELECT count(*) AS count FROM api_keys WHERE tenant IS ? AND ${ENDS_AT} > ?`,
  );
  const dropEnded = database.prepare<{ hash: string }>(
    `DELETE FROM api_keys WHERE id IN (
       SELECT id FROM api_keys WHERE tenant IS ? AND ${ENDS_AT} <= ? ORDER BY ${ENDS_AT} DESC, id DESC LIMIT -1 OFFSET ?)
     RETURNING hash`,
  );
  // By the index of ends; operators' keys stay, for one of the settings that was revoked must not come back.
  const dropEndedOfAll = database.prepare<{ hash: string }>(
    `DELETE FROM api_keys WHERE id IN (
       SELECT id FROM api_keys WHERE tenant IS NOT NULL AND ${ENDS_AT} <= ? ORDER BY ${ENDS_AT} DESC LIMIT -1 OFFSET ?)
     RETURNING hash`,
  );
  const revoke = database.prepare<KeyRow>(
    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE key_id = ? AND (? IS NULL OR tenant = ?) RETURNING *",
  );
  return {
    all: () => all.all(),
    upsert: (values: SqlValue[]) => void upsert.run(...values),
    isThere: (hash: string) => isThere.get(hash) !== undefined,
    usableCount: (tenant: string | null, nowMs: number) => usableCount.get(tenant, nowMs)?.count ?? 0,
    dropEnded: (tenant: string | null, nowMs: number, kept: number) =>
      dropEnded.all(tenant, nowMs, kept).map(({ hash }) => hash),
    dropEndedOfAll: (nowMs: number, kept: number) => dropEndedOfAll.all(nowMs, kept).map(({ hash }) => hash),
    revoke: (tenant: string | null, keyId: string, atMs: number) => revoke.get(atMs, keyId, tenant, tenant) ?? null,
  };
}

function valuesOf(key: ApiKey): SqlValue[] {
  return [
    key.hash,
    key.id,
    key.hint,
    key.name,
    key.tenant,
    key.scopes.join(" "),
    key.rateLimit?.limit ?? null,
    key.rateLimit?.windowMs ?? null,
    key.createdAtMs,
    key.expiresAtMs,
    key.revokedAtMs,
    key.rateLimit?.failureMode ?? null,
    key.rateLimit?.policy ?? null,
  ];
}

/** Throws `store-unavailable` for a row that does not read back. */
function keyOf(row: KeyRow): ApiKey {
  const record = v.safeParse(ApiKeyRecord, recordOf(row));
  const isReadable = record.success && v.is(v.nullable(TimeMs), row.revoked_at);
  if (!isReadable) throw rowDamaged("The row of an API key in the database does not read back");
  return { ...record.output, revokedAtMs: row.revoked_at };
}

function recordOf(row: KeyRow): v.InferInput<typeof ApiKeyRecord> {
  return {
    id: row.key_id,
    hash: row.hash,
    hint: row.hint,
    name: row.name,
    tenant: row.tenant,
    scopes: row.scopes.split(" ").filter((scope) => scope !== "") as Scope[],
    rateLimit:
      row.rate_limit === null || row.rate_window_ms === null
        ? null
        : {
            limit: row.rate_limit,
            windowMs: row.rate_window_ms,
            failureMode: row.rate_failure_mode ?? undefined,
            ...(row.rate_policy === null ? {} : { policy: row.rate_policy }),
          },
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
  };
}

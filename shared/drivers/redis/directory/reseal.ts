/**
 * Seals every endpoint with the present master key, while gateways and processors go on. Each is written only over what was
 * read, so whoever changes an endpoint meanwhile wins; a run that was killed is simply begun again. Passes go on until one
 * finds nothing to do: then the word is sealed anew, and the previous key is needed no more. One pass more tells of a process
 * that went on with it.
 */
import type { Sealer } from "../../../lib/ambient.ts";
import type { ResealReport } from "../../../ports/reseal.ts";
import { UNREADABLE_MAX } from "../../../ports/reseal.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisCommands } from "../client/redis-commands.ts";
import { requireMasterKey, sealWordAnew } from "./master-key.ts";
import { isSealedCurrently, sealedAnew } from "./record.ts";
import type { ListedEndpoint } from "./store.ts";
import { createDirectoryStore } from "./store.ts";

/** Endpoints in memory at once; those of one tenant among them are one script. */
const PAGE_ROWS = 50;
/** Passes that find something new each; more are a process that goes on writing with the previous key. */
const PASSES_MAX = 10;

interface Pass {
  looked: number;
  resealed: number;
  /** Changed by somebody else meanwhile: looked at again. */
  missed: number;
  readonly unreadable: string[];
  unreadableCount: number;
}

/** Rejects with `store-unavailable` when Redis does not answer, and as a start does when no key fits. */
export async function resealDirectory(options: {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  readonly sealer: Sealer;
  readonly isDryRun: boolean;
}): Promise<ResealReport> {
  const { isDryRun } = options;
  const store = createDirectoryStore(options);
  await requireMasterKey({ ...options, store });
  let resealed = 0;
  let isWordNew = false;
  for (let count = 1; ; count++) {
    const { looked, unreadable, unreadableCount, ...pass } = await passOver(store, options);
    resealed += pass.resealed;
    const isClean = pass.resealed + pass.missed === 0;
    const isDone = isClean && (isDryRun || isWordNew);
    if (isDone || isDryRun || count === PASSES_MAX) return { looked, resealed, unreadable, unreadableCount, isDone };
    isWordNew ||= isClean && (await sealWordAnew(options));
  }
}

type Store = ReturnType<typeof createDirectoryStore>;

async function passOver(store: Store, options: { readonly sealer: Sealer; readonly isDryRun: boolean }): Promise<Pass> {
  const pass: Pass = { looked: 0, resealed: 0, missed: 0, unreadable: [], unreadableCount: 0 };
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Store["list"]>> = await store.list(null, PAGE_ROWS, cursor);
    pass.looked += page.rows.length;
    const writes = Array.from(
      Map.groupBy(page.rows, (row) => row.tenant),
      async ([tenant, rows]) => {
        const wanted = rows.flatMap((row) => anew(row, options.sealer, pass));
        if (options.isDryRun || wanted.length === 0) pass.resealed += wanted.length;
        else await write(store, tenant, wanted, pass);
      },
    );
    await Promise.all(writes);
    cursor = page.next;
  } while (cursor !== null);
  return pass;
}

/** Id, what was read and what takes its place; nothing for one that needs none, or cannot be read. */
function anew({ tenant, id, stored }: ListedEndpoint, sealer: Sealer, pass: Pass): [string, string, string][] {
  if (isSealedCurrently(id, stored, sealer)) return [];
  const text = sealedAnew(id, stored, sealer);
  if (text !== null) return [[id, stored, text]];
  pass.unreadableCount++;
  if (pass.unreadable.length < UNREADABLE_MAX) pass.unreadable.push(`${tenant}/${id.slice(0, 64)}`);
  return [];
}

async function write(store: Store, tenant: string, rows: [string, string, string][], pass: Pass): Promise<void> {
  const { epoch } = await store.version(tenant);
  const written = epoch === null ? null : await store.reseal({ epoch, version: 0 }, tenant, rows);
  pass.resealed += written ?? 0;
  pass.missed += rows.length - (written ?? 0);
}

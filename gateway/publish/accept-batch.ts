/**
 * Takes the events of a batch: the valid ones become durable together, in one append, whatever is wrong with the others.
 * Events with ids of their own are claimed one by one, so that a batch repeated in part makes nothing twice.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { StoredAnswer } from "@posthaste/shared/ports/claims.ts";
import type { BatchItem } from "./batch-items.ts";
import type { ClaimDeps } from "./claims.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Draft } from "./draft.ts";
import type { RequestContext } from "../request/context.ts";
import { acceptedText, appendEnvelopes, envelopeOf } from "./accept.ts";
import { atItem } from "./batch-items.ts";
import { abandonClaim, completeClaim, idConflict, takenOf } from "./claims.ts";
import { draftFingerprint } from "./draft.ts";

export type ItemResult =
  | { readonly kind: "refused"; readonly error: PosthasteError }
  | { readonly kind: "accepted"; readonly answerText: string; readonly isReplay: boolean };

export interface BatchAcceptance {
  readonly items: readonly BatchItem[];
  /** One for each item; an item's own id, or the one it gets. */
  readonly ids: readonly string[];
  readonly acceptedAtMs: number;
  readonly traceparent: string | null;
  readonly suffixOf: (tenant: string) => string;
  readonly context: RequestContext;
}

interface Entry {
  readonly index: number;
  readonly draft: Draft;
  readonly tenant: string;
  readonly id: string;
  /** Null: not claimed. */
  readonly claimKey: string | null;
  readonly acceptedAtMs: number;
}

/** Results in the order of the items. Throws when nothing could be made durable; then nothing was. */
export async function acceptBatch(deps: GatewayDeps, batch: BatchAcceptance): Promise<readonly ItemResult[]> {
  const results: ItemResult[] = [];
  const repeats: { index: number; of: number }[] = [];
  const claimDeps = { claims: deps.drivers.claims, log: deps.telemetry.log };
  const entries = sortOut(deps, batch, results, repeats);
  const open = await claimEntries(deps, claimDeps, entries, results);
  let envelopes: readonly Envelope[] = [];
  try {
    envelopes = await envelopesOf(deps, batch, open);
    if (envelopes.length > 0) await appendEnvelopes(deps, envelopes, batch.context);
  } catch (failure) {
    await abandonAll(claimDeps, open);
    throw failure;
  }
  const completions = open.map(async (entry, at) => {
    const envelope = envelopes[at];
    assert(envelope !== undefined, "each open entry has its envelope");
    const answerText = acceptedText(envelope, batch.suffixOf(entry.tenant));
    results[entry.index] = { kind: "accepted", answerText, isReplay: false };
    const answer: StoredAnswer = { status: 202, body: answerText };
    if (entry.claimKey !== null) await completeClaim(claimDeps, entry.tenant, entry.claimKey, answer);
  });
  await Promise.all(completions);
  for (const { index, of } of repeats) {
    const first = results[of];
    assert(first !== undefined, "a repeat follows its first");
    results[index] = first.kind === "accepted" ? { ...first, isReplay: true } : first;
  }
  return results;
}

/** Refused items get their result at once; of one id within the batch the first stands for all that are equal. */
function sortOut(
  deps: GatewayDeps,
  batch: BatchAcceptance,
  results: ItemResult[],
  repeats: { index: number; of: number }[],
): readonly Entry[] {
  const entries: Entry[] = [];
  const firstByName = new Map<string, { index: number; fingerprint: string }>();
  for (const [index, item] of batch.items.entries()) {
    if (item.kind === "refused") {
      results[index] = item;
      continue;
    }
    const { draft, tenant } = item;
    const id = batch.ids[index];
    assert(id !== undefined, "each item has an id");
    const claimKey = draft.id === null ? null : `id:${draft.id}`;
    if (claimKey !== null) {
      const fingerprint = draftFingerprint(draft, deps.hasher);
      const first = firstByName.get(`${tenant}\n${claimKey}`);
      if (first === undefined) {
        firstByName.set(`${tenant}\n${claimKey}`, { index, fingerprint });
      } else {
        if (first.fingerprint === fingerprint) repeats.push({ index, of: first.index });
        else results[index] = { kind: "refused", error: atItem(idConflict(id), index) };
        continue;
      }
    }
    entries.push({ index, draft, tenant, id, claimKey, acceptedAtMs: batch.acceptedAtMs });
  }
  return entries;
}

/** What is ours to append. When one claim cannot be made, those made are given up and nothing is appended. */
async function claimEntries(
  deps: GatewayDeps,
  claimDeps: ClaimDeps,
  entries: readonly Entry[],
  results: ItemResult[],
): Promise<readonly Entry[]> {
  const open: Entry[] = [];
  const failures: unknown[] = [];
  const claimOne = async (entry: Entry): Promise<void> => {
    const { index, claimKey, tenant, draft, id, acceptedAtMs } = entry;
    if (claimKey === null) return void open.push(entry);
    const fingerprint = draftFingerprint(draft, deps.hasher);
    const request = { tenant, key: claimKey, fingerprint, eventIds: [id], acceptedAtMs };
    const claim = await claimDeps.claims.claim(request).catch((failure: unknown) => void failures.push(failure));
    if (claim === undefined) return;
    const taken = takenOf(claim, claimKey);
    if (taken instanceof PosthasteError) results[index] = { kind: "refused", error: atItem(taken, index) };
    else if (taken.kind === "claimed") open.push({ ...entry, acceptedAtMs: taken.acceptedAtMs });
    else results[index] = { kind: "accepted", answerText: taken.answer.body, isReplay: true };
  };
  await Promise.all(entries.map(claimOne));
  if (failures.length > 0) {
    await abandonAll(claimDeps, open);
    throw failures[0];
  }
  return open.toSorted((left, right) => left.index - right.index);
}

async function abandonAll(claimDeps: ClaimDeps, entries: readonly Entry[]): Promise<void> {
  await Promise.all(
    entries.map(async ({ claimKey, tenant }) => {
      if (claimKey !== null) await abandonClaim(claimDeps, tenant, claimKey);
    }),
  );
}

async function envelopesOf(deps: GatewayDeps, batch: BatchAcceptance, entries: readonly Entry[]): Promise<Envelope[]> {
  const tenants = [...new Set(entries.map(({ tenant }) => tenant))];
  const versions = new Map(
    await Promise.all(tenants.map(async (tenant) => [tenant, await deps.drivers.directory.version(tenant)] as const)),
  );
  const { traceparent } = batch;
  return entries.map(({ draft, tenant, id, acceptedAtMs: nowMs }) =>
    envelopeOf(draft, { id, tenant, nowMs, traceparent, directoryVersion: versions.get(tenant) ?? 0 }),
  );
}

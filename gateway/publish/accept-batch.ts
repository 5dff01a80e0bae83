/**
 * Accepts the events of a batch with the steps of `accept.ts`. The valid ones become durable together, in one append,
 * whatever is wrong with the others. Ids of the publisher's own are claimed one by one, so that a batch that is repeated
 * in part makes nothing twice.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { assert, unreachable } from "@posthaste/shared/lib/assert.ts";
import type { StoredAnswer } from "@posthaste/shared/ports/claims.ts";
import type { RequestContext } from "../request/context.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Idempotency } from "./accept.ts";
import type { BatchItem } from "./batch-items.ts";
import type { Accepted, HeldClaim } from "./claims.ts";
import type { Draft } from "./draft.ts";
import { problemOf } from "../request/problem.ts";
import { acceptedText, appendEnvelopes, envelopeOf, freshId } from "./accept.ts";
import { atItem } from "./batch-items.ts";
import { abandonClaim, claimOfId, claimOfKey, completeClaim, idConflict, takeClaim, tryClaim } from "./claims.ts";
import { draftFingerprint } from "./draft.ts";

export interface BatchAcceptance {
  readonly items: readonly BatchItem[];
  /** The caller's, for the claim of the whole batch; its events may belong to several. */
  readonly tenant: string;
  readonly traceparent: string | null;
  readonly suffixOf: (tenant: string) => string;
  /** Null without an Idempotency-Key. */
  readonly idempotency: Idempotency | null;
  readonly context: RequestContext;
}

type ItemResult =
  | { readonly kind: "refused"; readonly error: PosthasteError }
  | { readonly kind: "accepted"; readonly answerText: string; readonly isReplay: boolean };

/** An event that still has to be claimed, if it has an id of its own. */
interface Wanted {
  readonly kind: "wanted";
  readonly draft: Draft;
  readonly tenant: string;
  readonly id: string;
}

/** An event that is ours to append. */
interface Open extends Omit<Wanted, "kind"> {
  readonly kind: "open";
  readonly acceptedAtMs: number;
  readonly claim: HeldClaim | null;
}

type Done = { readonly kind: "done"; readonly result: ItemResult };
/** The same event as one before it in this batch. */
type Repeat = { readonly kind: "repeat"; readonly of: number };
type Failed = { readonly kind: "failed"; readonly failure: unknown };
type Entry = Open | Done | Repeat | Failed;

/** From the parsed batch to its 200. Throws when nothing could be made durable; then nothing was. */
export async function acceptBatch(deps: GatewayDeps, acceptance: BatchAcceptance): Promise<Accepted> {
  const { items, tenant, idempotency, context } = acceptance;
  let acceptedAtMs = Math.floor(deps.clock.now());
  let eventIds: readonly string[] = items.map((item) => ownId(item) ?? freshId(deps));
  let keyClaim: HeldClaim | null = null;
  let entries: readonly Entry[] = [];
  try {
    // 1. Claim the Idempotency-Key. A claim that is retaken brings the ids and the time of its first holder.
    if (idempotency !== null) {
      const { fingerprint } = idempotency;
      const request = { tenant, key: claimOfKey(idempotency.key), fingerprint, eventIds, acceptedAtMs };
      const claim = await takeClaim(deps, request);
      if (claim.kind === "answered") return { answer: claim.answer, isReplay: true };
      keyClaim = request;
      ({ eventIds, acceptedAtMs } = claim);
    }

    // 2. Claim the publisher's own ids. When one claim cannot be made, nothing is appended.
    entries = await claimIds(deps, sortOut(deps, items, eventIds), acceptedAtMs);
    const failed = entries.find((entry) => entry.kind === "failed");
    if (failed !== undefined) throw failed.failure;

    // 3. Append: from here on the events are accepted.
    const open = entries.filter((entry) => entry.kind === "open");
    const envelopes = await envelopesOf(deps, open, acceptance.traceparent);
    if (envelopes.length > 0) await appendEnvelopes(deps, envelopes, context);

    // 4. Store each event's answer under its id, then the whole under the Idempotency-Key, and give it.
    const answers = answersOf(open, envelopes, acceptance.suffixOf);
    await completeIds(deps, answers);
    const body = `{"data":[${resultsOf(entries, answers).map(resultText).join(",")}]}`;
    if (keyClaim !== null) await completeClaim(deps, keyClaim, { status: 200, body });
    return { answer: { status: 200, body }, isReplay: false };
  } catch (failure) {
    await abandonIds(deps, entries);
    if (keyClaim !== null) await abandonClaim(deps, keyClaim);
    throw failure;
  }
}

function ownId(item: BatchItem): string | null {
  return item.kind === "readable" ? item.draft.id : null;
}

/** Refused items are done at once. Of one id within the batch, the first stands for all that are equal. */
function sortOut(
  deps: GatewayDeps,
  items: readonly BatchItem[],
  eventIds: readonly string[],
): readonly (Wanted | Done | Repeat)[] {
  const firstById = new Map<string, { index: number; fingerprint: string }>();
  return items.map((item, index) => {
    if (item.kind === "refused") return { kind: "done", result: item };
    const { draft, tenant } = item;
    const id = eventIds[index];
    assert(id !== undefined, "each item has an id");
    if (draft.id === null) return { kind: "wanted", draft, tenant, id };
    const name = `${tenant}\n${id}`;
    const fingerprint = draftFingerprint(draft, deps.hasher);
    const first = firstById.get(name);
    if (first === undefined) {
      firstById.set(name, { index, fingerprint });
      return { kind: "wanted", draft, tenant, id };
    }
    if (first.fingerprint === fingerprint) return { kind: "repeat", of: first.index };
    return { kind: "done", result: { kind: "refused", error: atItem(idConflict(id), index) } };
  });
}

/** Never rejects, so that the claims that were made can be given up. */
function claimIds(
  deps: GatewayDeps,
  entries: readonly (Wanted | Done | Repeat)[],
  acceptedAtMs: number,
): Promise<readonly Entry[]> {
  return Promise.all(
    entries.map(async (entry, index): Promise<Entry> => {
      if (entry.kind !== "wanted") return entry;
      const { draft, tenant, id } = entry;
      if (draft.id === null) return { ...entry, kind: "open", acceptedAtMs, claim: null };
      const fingerprint = draftFingerprint(draft, deps.hasher);
      const request = { tenant, key: claimOfId(id), fingerprint, eventIds: [id], acceptedAtMs };
      try {
        const claim = await tryClaim(deps, request);
        switch (claim.kind) {
          case "claimed":
            return { ...entry, kind: "open", acceptedAtMs: claim.acceptedAtMs, claim: request };
          case "answered":
            return { kind: "done", result: { kind: "accepted", answerText: claim.answer.body, isReplay: true } };
          case "refused":
            return { kind: "done", result: { kind: "refused", error: atItem(claim.error, index) } };
          default:
            return unreachable(claim);
        }
      } catch (failure) {
        return { kind: "failed", failure };
      }
    }),
  );
}

async function envelopesOf(
  deps: GatewayDeps,
  open: readonly Open[],
  traceparent: string | null,
): Promise<readonly Envelope[]> {
  const tenants = [...new Set(open.map(({ tenant }) => tenant))];
  const versions = new Map(
    await Promise.all(tenants.map(async (tenant) => [tenant, await deps.drivers.directory.version(tenant)] as const)),
  );
  return open.map(({ draft, tenant, id, acceptedAtMs }) =>
    envelopeOf(draft, { id, tenant, acceptedAtMs, traceparent, directoryVersion: versions.get(tenant) ?? 0 }),
  );
}

function answersOf(
  open: readonly Open[],
  envelopes: readonly Envelope[],
  suffixOf: (tenant: string) => string,
): ReadonlyMap<Open, StoredAnswer> {
  return new Map(
    open.map((entry, index) => {
      const envelope = envelopes[index];
      assert(envelope !== undefined, "each open entry has its envelope");
      return [entry, { status: 202, body: acceptedText(envelope, suffixOf(entry.tenant)) }];
    }),
  );
}

async function completeIds(deps: GatewayDeps, answers: ReadonlyMap<Open, StoredAnswer>): Promise<void> {
  const held = [...answers].flatMap(([{ claim }, answer]) => (claim === null ? [] : [{ claim, answer }]));
  await Promise.all(held.map(({ claim, answer }) => completeClaim(deps, claim, answer)));
}

async function abandonIds(deps: GatewayDeps, entries: readonly Entry[]): Promise<void> {
  const held = entries.flatMap((entry) => (entry.kind === "open" && entry.claim !== null ? [entry.claim] : []));
  await Promise.all(held.map((claim) => abandonClaim(deps, claim)));
}

/** In the order of the items. */
function resultsOf(entries: readonly Entry[], answers: ReadonlyMap<Open, StoredAnswer>): readonly ItemResult[] {
  const results: ItemResult[] = [];
  for (const entry of entries) results.push(resultOf(entry, results, answers));
  return results;
}

function resultOf(entry: Entry, before: readonly ItemResult[], answers: ReadonlyMap<Open, StoredAnswer>): ItemResult {
  switch (entry.kind) {
    case "done":
      return entry.result;
    case "open": {
      const answer = answers.get(entry);
      assert(answer !== undefined, "each open entry was answered");
      return { kind: "accepted", answerText: answer.body, isReplay: false };
    }
    case "repeat": {
      const first = before[entry.of];
      assert(first !== undefined, "a repeat follows its first");
      return first.kind === "accepted" ? { ...first, isReplay: true } : first;
    }
    case "failed":
      throw entry.failure;
    default:
      return unreachable(entry);
  }
}

/** An accepted item's text is the object that a single event would have been answered with. */
function resultText(result: ItemResult): string {
  if (result.kind === "refused") {
    const problem = problemOf(result.error);
    return JSON.stringify({ status: problem.status, problem });
  }
  return `{"status":202,${result.isReplay ? '"idempotent_replayed":true,' : ""}${result.answerText.slice(1)}`;
}

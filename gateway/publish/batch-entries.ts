/** The events of a batch on their way through `accept-batch.ts`, and the result that each is answered with. */
import type { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { assert, unreachable } from "@posthaste/shared/lib/assert.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { BatchItem } from "./batch-items.ts";
import type { HeldClaim } from "./claims.ts";
import type { Draft } from "./draft.ts";
import { problemOf } from "@posthaste/shared/domain/problem.ts";
import { atItem } from "./batch-items.ts";
import { idConflict } from "./claims.ts";
import { draftFingerprint } from "./draft.ts";

export type ItemResult =
  | { readonly kind: "refused"; readonly error: PosthasteError }
  | { readonly kind: "accepted"; readonly answerText: string; readonly isReplay: boolean };

/** An event that still has to be claimed, if it has an id of its own. */
export interface Wanted {
  readonly kind: "wanted";
  readonly draft: Draft;
  readonly tenant: string;
  readonly id: string;
}

/** An event that is ours to append. */
export interface Open extends Omit<Wanted, "kind"> {
  readonly kind: "open";
  readonly acceptedAtMs: number;
  readonly claim: HeldClaim | null;
}

export type Done = { readonly kind: "done"; readonly result: ItemResult };
/** The same event as one before it in this batch. */
export type Repeat = { readonly kind: "repeat"; readonly of: number };
type Failed = { readonly kind: "failed"; readonly failure: unknown };
export type Entry = Open | Done | Repeat | Failed;

/** What became of each event that was to be appended. */
export type Outcomes = ReadonlyMap<Open, ItemResult>;

export function ownId(item: BatchItem): string | null {
  return item.kind === "readable" ? item.draft.id : null;
}

/** Refused items are done at once. Of one id within the batch, the first stands for all that are equal. */
export function sortOut(
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

/** In the order of the items. */
export function resultsOf(entries: readonly Entry[], outcomes: Outcomes): readonly ItemResult[] {
  const results: ItemResult[] = [];
  for (const entry of entries) results.push(resultOf(entry, results, outcomes));
  return results;
}

function resultOf(entry: Entry, before: readonly ItemResult[], outcomes: Outcomes): ItemResult {
  switch (entry.kind) {
    case "done":
      return entry.result;
    case "open": {
      const outcome = outcomes.get(entry);
      assert(outcome !== undefined, "each open entry has its outcome");
      return outcome;
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
export function resultText(result: ItemResult): string {
  if (result.kind === "refused") {
    const problem = problemOf(result.error);
    return JSON.stringify({ status: problem.status, problem });
  }
  return `{"status":202,${result.isReplay ? '"idempotent_replayed":true,' : ""}${result.answerText.slice(1)}`;
}

/**
 * Accepts the events of a batch with the steps of `accept.ts`. The valid ones become durable together, in one append,
 * whatever is wrong with the others. Where no single store takes them all, some may fail and be answered as such. Ids of the publisher's own are claimed one by one, so that a batch that is repeated
 * in part makes nothing twice.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { assert, unreachable } from "@posthaste/shared/lib/assert.ts";
import type { RequestContext } from "../request/context.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Idempotency } from "./accept.ts";
import type { Done, Entry, ItemResult, Open, Outcomes, Repeat, Wanted } from "./batch-entries.ts";
import type { BatchItem } from "./batch-items.ts";
import type { Accepted, HeldClaim } from "./claims.ts";
import { publicError } from "../request/problem.ts";
import { acceptedText, appendEnvelopes, envelopeOf, freshId } from "./accept.ts";
import { ownId, resultText, resultsOf, sortOut } from "./batch-entries.ts";
import { atItem } from "./batch-items.ts";
import { failed } from "../request/validation.ts";
import { abandonClaim, claimOfId, claimOfKey, completeClaim, takeClaim, tryClaim } from "./claims.ts";
import { draftFingerprint } from "./draft.ts";

export interface BatchAcceptance {
  readonly items: readonly BatchItem[];
  /** The caller's, for the claim of the whole batch; its events may belong to several. */
  readonly tenant: string;
  readonly suffixOf: (tenant: string) => string;
  /** Null without an Idempotency-Key. */
  readonly idempotency: Idempotency | null;
  readonly context: RequestContext;
}

export interface AcceptedBatch extends Accepted {
  /** Events that were well-formed and could not be made durable. */
  readonly failedCount: number;
}

/** From the parsed batch to its 200. Throws when nothing could be made durable. */
export async function acceptBatch(deps: GatewayDeps, acceptance: BatchAcceptance): Promise<AcceptedBatch> {
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
      if (claim.kind === "answered") return { answer: claim.answer, isReplay: true, failedCount: 0 };
      keyClaim = request;
      ({ eventIds, acceptedAtMs } = claim);
    }

    // 2. Claim the publisher's own ids. When one claim cannot be made, nothing is appended.
    entries = await claimIds(deps, sortOut(deps, items, eventIds), acceptedAtMs);
    const unclaimed = entries.find((entry) => entry.kind === "failed");
    if (unclaimed !== undefined) throw unclaimed.failure;

    // 3. Append: from here on the events are accepted.
    const open = entries.filter((entry) => entry.kind === "open");
    const envelopes = await envelopesOf(deps, open, context);
    const failures = await appendEnvelopes(deps, envelopes, context);

    // 4. Store each event's answer under its id, then the whole under the Idempotency-Key, and give it. If some failed,
    //    their ids and the key are given up: a repeat appends the same events again.
    const outcomes = outcomesOf(deps, open, { envelopes, failures, suffixOf: acceptance.suffixOf });
    await completeIds(deps, outcomes);
    const body = `{"data":[${resultsOf(entries, outcomes).map(resultText).join(",")}]}`;
    if (failures.size > 0) await abandonIds(deps, open);
    if (keyClaim !== null && failures.size > 0) await abandonClaim(deps, keyClaim);
    if (keyClaim !== null && failures.size === 0) await completeClaim(deps, keyClaim, { status: 200, body });
    return { answer: { status: 200, body }, isReplay: false, failedCount: failures.size };
  } catch (failure) {
    await abandonIds(deps, entries);
    if (keyClaim !== null) await abandonClaim(deps, keyClaim);
    throw failure;
  }
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
        const claim = await tryClaim(deps, request, draft.faults);
        switch (claim.kind) {
          case "claimed":
            return { ...entry, kind: "open", acceptedAtMs: claim.acceptedAtMs, claim: request };
          case "answered":
            return { kind: "done", result: { kind: "accepted", answerText: claim.answer.body, isReplay: true } };
          case "refused":
            return { kind: "done", result: { kind: "refused", error: atItem(claim.error, index) } };
          case "unclaimed":
            return { kind: "done", result: { kind: "refused", error: atItem(failed(draft.faults), index) } };
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
  { trace }: RequestContext,
): Promise<readonly Envelope[]> {
  const tenants = [...new Set(open.map(({ tenant }) => tenant))];
  const versions = new Map(
    await Promise.all(tenants.map(async (tenant) => [tenant, await deps.drivers.directory.version(tenant)] as const)),
  );
  return open.map(({ draft, tenant, id, acceptedAtMs }, index) => {
    const carried = deps.telemetry.trace.carried(trace, { tenant, id, index });
    return envelopeOf(draft, { id, tenant, acceptedAtMs, carried, directoryVersion: versions.get(tenant) ?? 0 });
  });
}

function outcomesOf(
  deps: GatewayDeps,
  open: readonly Open[],
  appended: {
    readonly envelopes: readonly Envelope[];
    readonly failures: ReadonlyMap<Envelope, unknown>;
    readonly suffixOf: (tenant: string) => string;
  },
): Outcomes {
  const { envelopes, failures, suffixOf } = appended;
  return new Map(
    open.map((entry, index): [Open, ItemResult] => {
      const envelope = envelopes[index];
      assert(envelope !== undefined, "each open entry has its envelope");
      const failure = failures.get(envelope);
      if (failure !== undefined) {
        return [entry, { kind: "refused", error: publicError(failure, deps.telemetry.log, "/v1/events/batch") }];
      }
      return [entry, { kind: "accepted", answerText: acceptedText(envelope, suffixOf(entry.tenant)), isReplay: false }];
    }),
  );
}

async function completeIds(deps: GatewayDeps, outcomes: Outcomes): Promise<void> {
  await Promise.all(
    [...outcomes].map(async ([{ claim }, result]) => {
      if (claim === null || result.kind === "refused") return;
      await completeClaim(deps, claim, { status: 202, body: result.answerText });
    }),
  );
}

/** A claim that has its answer keeps it. */
async function abandonIds(deps: GatewayDeps, entries: readonly Entry[]): Promise<void> {
  const held = entries.flatMap((entry) => (entry.kind === "open" && entry.claim !== null ? [entry.claim] : []));
  await Promise.all(held.map((claim) => abandonClaim(deps, claim)));
}

/** `POST /v1/events/batch`: up to 1,000 events in one request; 200 with a result for each, in order. */
import { BATCH_BYTES_MAX } from "@posthaste/shared/domain/event.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { ItemResult } from "./accept-batch.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Call, Route } from "../request/handle.ts";
import { freshId } from "./accept.ts";
import { acceptBatch } from "./accept-batch.ts";
import { batchTexts, readItem } from "./batch-items.ts";
import type { Identity } from "./claims.ts";
import { withClaim } from "./claims.ts";
import { idempotencyKeyOf } from "../request/idempotency-key.ts";
import { charge, requireGrantable } from "../request/rate-limit.ts";
import { problemOf } from "../request/problem.ts";
import { answer, readBody } from "../request/handle.ts";
import { resolveTenant, tenantSuffix } from "../request/tenancy.ts";
import { traceparentOf } from "../request/trace-context.ts";

const PATH = "/v1/events/batch";

export function batchRoute(deps: GatewayDeps): Route {
  return {
    method: "POST",
    path: PATH,
    scope: "publish",
    query: ["tenant"],
    body: { bytesMax: BATCH_BYTES_MAX, isOptional: false, takesCloudEvents: false },
    handle: (call) => publishBatch(deps, call),
  };
}

async function publishBatch(deps: GatewayDeps, call: Call): Promise<Response> {
  const { caller, context } = call;
  const { headers } = call.request;
  const key = idempotencyKeyOf(headers);
  const queryTenant = call.query.get("tenant") ?? null;
  const ownTenant = resolveTenant(caller, null, queryTenant);
  const text = await readBody(call);
  const texts = batchTexts(text);
  requireGrantable(caller, texts.length);
  if (texts.length > 1) await charge(deps.drivers.rateLimiter, caller, texts.length - 1, call.headers);
  const nowMs = deps.clock.now();
  const items = texts.map((item, index) => readItem(item, index, { caller, queryTenant, nowMs }));
  const ids = items.map((item) => (item.kind === "readable" ? item.draft.id : null) ?? freshId(deps));
  const suffixOf = (tenant: string): string => tenantSuffix(caller, tenant);
  const run = async ({ eventIds, acceptedAtMs }: Identity): Promise<string> => {
    const batch = { items, ids: eventIds, acceptedAtMs, traceparent: traceparentOf(headers), suffixOf, context };
    return `{"data":[${(await acceptBatch(deps, batch)).map(resultText).join(",")}]}`;
  };
  const identity: Identity = { eventIds: ids, acceptedAtMs: Math.floor(nowMs) };
  if (key === null) return answer(call, 200, await run(identity));
  // The claim of a whole batch belongs to the caller's tenant; its events may belong to several.
  const fingerprint = encodeHex(deps.hasher.sha256(`POST ${PATH}\n${text}`));
  const request = { tenant: ownTenant, key: `key:${key}`, fingerprint, ...identity };
  const claimDeps = { claims: deps.drivers.claims, log: deps.telemetry.log };
  const { answer: stored, isReplay } = await withClaim(claimDeps, request, async (kept) => {
    return { answer: { status: 200, body: await run(kept) }, isReplay: false };
  });
  return answer(call, stored.status, stored.body, isReplay ? { "idempotent-replayed": "true" } : undefined);
}

/** An accepted item's text is the object that a single event would have been answered with. */
function resultText(result: ItemResult): string {
  if (result.kind === "refused") {
    const problem = problemOf(result.error);
    return JSON.stringify({ status: problem.status, problem });
  }
  return `{"status":202,${result.isReplay ? '"idempotent_replayed":true,' : ""}${result.answerText.slice(1)}`;
}

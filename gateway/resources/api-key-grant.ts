/**
 * What a caller may put into a new API key: never more than it has itself. An operator key needs the tenant `operator` by
 * name, so that nobody makes one by mistake.
 */
import type { ApiKey, NewApiKey } from "@posthaste/shared/domain/api-key.ts";
import { TENANT_KEY_RATE_LIMIT } from "@posthaste/shared/domain/api-key.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import type { FailureMode, KeyRateLimit, KeyRateLimitWish } from "@posthaste/shared/domain/key-rate-limit.ts";
import { isLooser } from "@posthaste/shared/domain/key-rate-limit.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { FieldProblem } from "@posthaste/shared/domain/errors.ts";
import { failed } from "../request/validation.ts";

export type Grant = Pick<ApiKey, "tenant" | "scopes" | "rateLimit" | "expiresAtMs">;

/** `tenant` is resolved already. Throws 403 for a scope the caller lacks, 422 for limits and times past its own. */
export function grantOf(caller: ApiKey, wish: NewApiKey, tenant: string, nowMs: number): Grant {
  const lacking = wish.scopes.filter((scope) => !caller.scopes.includes(scope));
  if (lacking.length > 0) {
    throw new PosthasteError("missing-scope", `This API key lacks ${lacking.join(", ")} and so cannot grant it.`);
  }
  const keyTenant = tenant === OPERATOR_TENANT ? null : tenant;
  const rateLimit = wish.rate_limit === undefined ? defaultLimit(caller, keyTenant) : limitOf(caller, wish.rate_limit);
  const expiresAtMs = wish.expires_at ?? caller.expiresAtMs;
  const problems = [...limitProblems(caller, rateLimit), ...expiryProblems(caller, expiresAtMs, nowMs)];
  if (problems.length > 0) throw failed(problems);
  return { tenant: keyTenant, scopes: [...new Set(wish.scopes)], rateLimit, expiresAtMs };
}

/** Without a mode of its own: `local`, or the creator's where that is stricter. */
function limitOf({ rateLimit: own }: ApiKey, { failureMode, ...wish }: KeyRateLimitWish): KeyRateLimit {
  const usual: FailureMode = own === null || isLooser(own.failureMode, "local") ? "local" : own.failureMode;
  return { ...wish, failureMode: failureMode ?? usual };
}

function defaultLimit(caller: ApiKey, keyTenant: string | null): KeyRateLimit | null {
  if (caller.rateLimit !== null) return caller.rateLimit;
  return keyTenant === null ? null : TENANT_KEY_RATE_LIMIT;
}

function limitProblems({ rateLimit: own }: ApiKey, given: KeyRateLimit | null): readonly FieldProblem[] {
  if (own === null || given === null) return [];
  const problems: FieldProblem[] = [];
  if (given.limit > own.limit || given.windowMs < own.windowMs) {
    const detail = `must grant no more than this API key's own ${own.limit} per ${own.windowMs} ms`;
    problems.push({ pointer: "#/rate_limit", detail });
  }
  if (isLooser(given.failureMode, own.failureMode)) {
    const detail = `must not be looser than this API key's own ${own.failureMode}`;
    problems.push({ pointer: "#/rate_limit/failure_mode", detail });
  }
  if (given.policy === "approximate" && own.policy !== "approximate") {
    problems.push({ pointer: "#/rate_limit/policy", detail: "must be exact, as this API key's own is" });
  }
  return problems;
}

function expiryProblems({ expiresAtMs: own }: ApiKey, given: number | null, nowMs: number): readonly FieldProblem[] {
  if (given === null) return [];
  if (given <= nowMs) return [{ pointer: "#/expires_at", detail: "must lie in the future" }];
  return own !== null && given > own
    ? [{ pointer: "#/expires_at", detail: "must not be later than this API key's own" }]
    : [];
}

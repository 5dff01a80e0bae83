/** Answers about API keys. */
import * as v from "valibot";
import { Scope } from "@posthaste/shared/domain/api-key.ts";
import { FailureMode, LimitPolicy } from "@posthaste/shared/domain/key-rate-limit.ts";
import { Count, idOf, listOf, Time } from "./parts.ts";

export const ApiKeyView = v.object({
  id: idOf("key"),
  name: v.string(),
  tenant: v.pipe(v.string(), v.description("`operator` for a key that may act for every tenant.")),
  hint: v.pipe(v.string(), v.description("Its first characters.")),
  scopes: v.pipe(v.array(Scope), v.readonly()),
  rate_limit: v.nullable(v.object({ limit: Count, window_ms: Count, failure_mode: FailureMode, policy: LimitPolicy })),
  status: v.picklist(["usable", "revoked", "expired"]),
  created_at: Time,
  expires_at: v.nullable(Time),
  revoked_at: v.nullable(Time),
});
export type ApiKeyView = v.InferOutput<typeof ApiKeyView>;
export const ApiKeyList = listOf(ApiKeyView);
export const CreatedApiKey = v.object({
  ...ApiKeyView.entries,
  key: v.pipe(v.string(), v.description("The key itself. Shown here and never again.")),
});

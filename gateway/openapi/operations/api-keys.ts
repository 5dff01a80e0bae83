/** API keys. */
import { ApiKeyList, CreatedApiKey } from "../../answers/api-keys.ts";
import { idOf } from "../../answers/parts.ts";
import * as examples from "../examples.ts";
import type { Operations } from "../operation.ts";

const tag = "API keys";

const KEY = {
  id: examples.KEY_ID,
  name: "shop",
  tenant: "acme",
  hint: "phk_4k7m…",
  scopes: ["publish"],
  rate_limit: { limit: 1000, window_ms: 1000, failure_mode: "local", policy: "exact" },
  status: "usable",
  created_at: examples.AT,
  expires_at: null,
  revoked_at: null,
};

export const apiKeyOperations: Operations = {
  "POST /v1/api-keys": {
    id: "createApiKey",
    tag,
    summary: "Create an API key",
    description:
      "A key is never worth more than the one that made it: not in scopes, limit or expiry. `tenant: operator` makes an operator key; only operator keys can.",
    example: { name: "shop", tenant: "acme", scopes: ["publish"] },
    answers: {
      201: {
        description: "Created. `key` is shown here and never again.",
        schema: CreatedApiKey,
        example: { ...KEY, key: "phk_4k7m2x9v0q3w8e5r1t6y7u2i9o0p4a3s8d5f6g1h" },
      },
    },
    problems: ["limit-reached"],
  },
  "GET /v1/api-keys": {
    id: "listApiKeys",
    tag,
    summary: "List API keys",
    description: "Revoked ones too. Operator keys stand under `tenant=*`.",
    answers: {
      200: { description: "A page.", schema: ApiKeyList, example: { data: [KEY], next_cursor: null } },
    },
  },
  "DELETE /v1/api-keys/:id": {
    id: "revokeApiKey",
    tag,
    summary: "Revoke an API key",
    description: "Within a second everywhere.",
    named: idOf("key"),
    answers: { 204: { description: "Revoked.", schema: null } },
    problems: ["not-found"],
  },
};

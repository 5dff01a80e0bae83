/** API keys as they are made and shown. */
import type { Instant } from "./shapes.ts";

export type Scope = "publish" | "read" | "manage";

export interface KeyRateLimit {
  readonly limit: number;
  readonly window_ms: number;
  /** What holds while the Redis of the limits is away; `local` by default. */
  readonly failure_mode?: "local" | "closed" | "open" | undefined;
  /** How it counts at the edge; `exact` by default. */
  readonly policy?: "exact" | "approximate" | undefined;
}

export interface NewApiKey {
  readonly name: string;
  /** `operator` makes an operator key, which only operator keys can. */
  readonly tenant?: string | undefined;
  /** All of them by default. */
  readonly scopes?: readonly Scope[] | undefined;
  readonly rate_limit?: KeyRateLimit | undefined;
  readonly expires_at?: Instant | undefined;
}

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  /** Its first characters. */
  readonly hint: string;
  readonly scopes: readonly Scope[];
  readonly rate_limit: KeyRateLimit | null;
  readonly status: "usable" | "revoked" | "expired";
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
}

/** The key is shown here and never again. */
export interface CreatedApiKey extends ApiKey {
  readonly key: string;
}

/** What a page is made from, and what comes of it. */
import type { ApiKey, Scope } from "@posthaste/shared/domain/api-key.ts";
import type { QueueSample } from "@posthaste/shared/telemetry/queue.ts";
import type { Markup } from "../html/markup.ts";
import type { GatewayDrivers } from "@posthaste/shared/ports/drivers.ts";
import type { Query } from "../request/query.ts";
import type { StoresFound } from "../resources/health.ts";
import type { Api } from "./api.ts";
import type { Flow } from "./flow.ts";
import type { Form } from "./form.ts";
import type { Place } from "./place.ts";

/** What the whole deployment looks like; shown to operator keys alone. Each is bounded in time. */
export interface Condition {
  readonly stores: () => Promise<StoresFound>;
  readonly flow: () => Promise<Flow>;
  readonly queues: () => Promise<readonly QueueSample[]>;
  /** The text of the alert board. */
  readonly alerts: () => Promise<string | null>;
}

export interface PageRequest {
  readonly place: Place;
  readonly caller: ApiKey;
  readonly api: Api;
  readonly condition: Condition;
  readonly drivers: Pick<GatewayDrivers, "stats">;
  readonly query: Query;
  /** Empty for a GET. */
  readonly form: Form;
  /** The token that each form of this session carries. */
  readonly token: string;
  /** Where the API is, as the browser names it. */
  readonly origin: string;
  readonly nowMs: number;
  readonly param: (name: string) => string;
}

export type Shown =
  | { readonly kind: "page"; readonly status?: number; readonly title: string; readonly body: Markup }
  | { readonly kind: "moved"; readonly to: string }
  | { readonly kind: "stream"; readonly response: Response };

export type Section =
  | "overview"
  | "events"
  | "endpoints"
  | "dead-letters"
  | "live"
  | "alerts"
  | "event-types"
  | "api-keys";

export interface PageRule {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly scope: Scope;
  readonly section: Section;
  readonly show: (request: PageRequest) => Promise<Shown>;
}

export function can({ scopes }: Pick<ApiKey, "scopes">, scope: Scope): boolean {
  return scopes.includes(scope);
}

export function isOperator({ tenant }: Pick<ApiKey, "tenant">): boolean {
  return tenant === null;
}

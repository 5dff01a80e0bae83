/**
 * `/dashboard`: what an operator, or a tenant, looks at. Its routes beside those of the API: pages for who is signed in, the way in
 * and out, one style and one script.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { brieflyKept } from "@posthaste/shared/lib/briefly-kept.ts";
import { RecentSet } from "@posthaste/shared/lib/recent-set.ts";
import { keeping, shown as shownKept } from "../html/kept.ts";
import type { HandleDeps, MatchedRequest, Route } from "../request/handle.ts";
import { parseQuery } from "../request/query.ts";
import { conditionInTime } from "../resources/health.ts";
import { createApi } from "./api.ts";
import { flowOf } from "./flow.ts";
import { NO_FORM } from "./form.ts";
import type { Frame } from "./layout.ts";
import type { Condition, PageRule } from "./page-request.ts";
import { can } from "./page-request.ts";
import { pages } from "./pages/pages.ts";
import { plotScript, plotStyle } from "./plot-script.ts";
import { Refused } from "./refused.ts";
import { comeAgain, HOME, moved, pageResponse, refusedPage, SAFE_FIELDS } from "./responses.ts";
import { SCRIPT } from "./script.ts";
import { formToken, LINK_MS } from "./session.ts";
import type { DashboardParts } from "./sign-in.ts";
import { isSomebody, sentForm, signIn, signInPage, signOut, whoIs } from "./sign-in.ts";
import { STYLE } from "./style.ts";

export interface DashboardRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly handle: (matched: MatchedRequest) => Promise<Response>;
}

export type Dashboard = (deps: HandleDeps, routes: readonly Route[]) => readonly DashboardRoute[];

/** Of each gateway process; those before are too old by then, or may be used twice. */
const USED_LINKS_MAX = 1000;
/** However many look at once, stores are not asked for their queues more often. */
const CONDITION_MS = 1000;

/** The library that draws the plots; all three are whole files of it. */
interface PlotLibrary {
  readonly uplot: { readonly script: string; readonly style: string; readonly license: string };
}

export function createDashboard({ uplot, ...parts }: DashboardParts & PlotLibrary): Dashboard {
  return (deps, routes) => {
    const { clock } = deps;
    const kept = { clock, keepMs: CONDITION_MS };
    const condition: Condition = {
      queues: brieflyKept(parts.queues, kept),
      alerts: parts.alerts,
      stores: () => conditionInTime(deps),
      flow: brieflyKept(async () => flowOf(await deps.drivers.stats.flow(), clock.now()), kept),
    };
    const shared = { ...parts, deps, condition, apiOf: createApi(deps, routes) };
    const usedLinks = new RecentSet<string>({ countMax: USED_LINKS_MAX, age: { ms: LINK_MS, clock } });
    const keptText = (text: string, type: string): DashboardRoute["handle"] => {
      const headers = { ...keeping(text, deps.hasher), ...SAFE_FIELDS, "content-type": type };
      return async ({ request }) => shownKept({ text, headers }, request.headers);
    };
    return [
      ...pages.map((rule): DashboardRoute => {
        return { method: rule.method, path: rule.path, handle: (matched) => showPage(rule, matched, shared) };
      }),
      { method: "GET", path: `${HOME}/`, handle: async () => moved(HOME, {}) },
      { method: "POST", path: `${HOME}/sign-in`, handle: (matched) => signIn(matched, { ...parts, deps, usedLinks }) },
      { method: "POST", path: `${HOME}/sign-out`, handle: (matched) => signOut(matched, { ...parts, deps }) },
      { method: "GET", path: `${HOME}/style.css`, handle: keptText(STYLE, "text/css; charset=utf-8") },
      { method: "GET", path: `${HOME}/script.js`, handle: keptText(SCRIPT, "text/javascript; charset=utf-8") },
      { method: "GET", path: `${HOME}/plot.css`, handle: keptText(plotStyle(uplot), "text/css; charset=utf-8") },
      { method: "GET", path: `${HOME}/plot.js`, handle: keptText(plotScript(uplot), "text/javascript; charset=utf-8") },
    ];
  };
}

interface Shared extends DashboardParts {
  readonly deps: HandleDeps;
  readonly condition: Condition;
  readonly apiOf: ReturnType<typeof createApi>;
}

async function showPage(rule: PageRule, matched: MatchedRequest, shared: Shared): Promise<Response> {
  const { request } = matched;
  let signedIn: Frame["signedIn"] = null;
  try {
    const found = await whoIs(matched, shared);
    if (found === null && isLedHere(matched)) return comeAgain();
    if (!isSomebody(found)) return signInPage(matched, { refusal: found, status: rule.path === HOME ? 200 : 401 });
    const token = formToken(shared.deps.hasher, found.cookie);
    signedIn = { ...found, token };
    const form = rule.method === "POST" ? await sentForm(matched, found, shared) : NO_FORM;
    requireMayDo(found.caller, rule);
    const shown = await rule.show({
      caller: found.caller,
      api: shared.apiOf(found.caller, matched),
      condition: shared.condition,
      drivers: shared.deps.drivers,
      query: parseQuery(request.url).query,
      form,
      token,
      origin: originOf(matched),
      nowMs: shared.deps.clock.now(),
      param: matched.param,
    });
    return pageResponse(shown, { section: rule.section, signedIn });
  } catch (thrown) {
    return refusedPage(thrown, matched, shared.deps, { section: rule.section, signedIn });
  }
}

/** By a link on another site: then browsers leave the cookie out, as it is of `SameSite=Strict`. */
function isLedHere({ request: { method, headers } }: MatchedRequest): boolean {
  return (
    method === "GET" && headers.get("sec-fetch-site") === "cross-site" && headers.get("sec-fetch-dest") === "document"
  );
}

function requireMayDo(caller: ApiKey, { scope }: PageRule): void {
  if (can(caller, scope)) return;
  const detail = `The API key that you signed in with lacks the scope ${scope}. Sign in with one that has it.`;
  throw new Refused({ status: 403, title: "This key may not do that", detail });
}

function originOf({ request }: MatchedRequest): string {
  const { headers } = request;
  const host = headers.get("x-forwarded-host") ?? headers.get("host") ?? "127.0.0.1:8080";
  return `${headers.get("x-forwarded-proto") === "https" ? "https" : "http"}://${host}`;
}

/**
 * The pages as routes beside those of the API: `/dashboard` for who has an API key, `/portal` for one tenant's people; the ways in and
 * out of each, one style and one script.
 */
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import { brieflyKept } from "@posthaste/shared/lib/briefly-kept.ts";
import { RecentSet } from "@posthaste/shared/lib/recent-set.ts";
import { keep, shown as shownKept } from "../html/kept.ts";
import type { HandleDeps, MatchedRequest, Route } from "../request/handle.ts";
import { conditionInTime } from "../resources/health.ts";
import type { PortalLinks } from "../resources/portal-links.ts";
import { createApi } from "./api.ts";
import { brandStyle } from "./brand.ts";
import type { Door } from "./door.ts";
import { signOut } from "./door.ts";
import { flowOf } from "./flow.ts";
import type { Condition } from "./page-request.ts";
import { pages } from "./pages/pages.ts";
import { HOME, pathIn } from "./place.ts";
import { plotScript, plotStyle } from "./plot-script.ts";
import { enterByLink, linkPage, portalCalls, portalDoor } from "./portal.ts";
import { moved, SAFE_FIELDS } from "./responses.ts";
import { SCRIPT } from "./script.ts";
import { LINK_MS, portalPath } from "./session.ts";
import type { PageParts } from "./show-page.ts";
import { showPage } from "./show-page.ts";
import { dashboardDoor, signIn } from "./sign-in.ts";
import { STYLE } from "./style.ts";

export interface DashboardRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly handle: (matched: MatchedRequest) => Promise<Response>;
}

/** What only a program that has a dashboard brings. */
export interface DashboardParts extends Pick<Condition, "queues" | "alerts"> {
  readonly sealer: Sealer;
  readonly portal: PortalLook;
  readonly uplot: PlotLibrary;
}

/** What draws the plots; each is a whole file of the library. */
export interface PlotLibrary {
  readonly script: string;
  readonly style: string;
  readonly license: string;
}

export interface Dashboard {
  readonly portalLinks: PortalLinks;
  readonly routes: (deps: HandleDeps, routes: readonly Route[]) => readonly DashboardRoute[];
}

/** Of each gateway process; those before are too old by then, or may be used twice. */
const USED_LINKS_MAX = 1000;
/** However many look at once, stores are not asked for their queues more often. */
const CONDITION_MS = 1000;

export function createDashboard(parts: DashboardParts): Dashboard {
  const { sealer, portal } = parts;
  return {
    portalLinks: { url: portal.url, pathOf: (link) => portalPath(sealer, link) },
    routes(deps, routes) {
      const condition = createCondition(parts, deps);
      const shared = { sealer, deps, condition };
      const doors = {
        dashboard: { ...shared, door: dashboardDoor, apiOf: createApi(deps, routes) },
        portal: { ...shared, door: portalDoor(portal), apiOf: createApi(deps, portalCalls(routes)) },
      };
      return [...dashboardRoutes(doors.dashboard, parts.uplot), ...portalRoutes(doors.portal, portal)];
    },
  };
}

function createCondition({ queues, alerts }: DashboardParts, deps: HandleDeps): Condition {
  const { clock } = deps;
  const kept = { clock, keepMs: CONDITION_MS };
  return {
    queues: brieflyKept(queues, kept),
    alerts,
    stores: () => conditionInTime(deps),
    flow: brieflyKept(async () => flowOf(await deps.drivers.stats.flow(), clock.now()), kept),
  };
}

function dashboardRoutes(parts: PageParts, uplot: PlotLibrary): readonly DashboardRoute[] {
  const { deps } = parts;
  const usedLinks = new RecentSet<string>({ countMax: USED_LINKS_MAX, age: { ms: LINK_MS, clock: deps.clock } });
  return [
    ...pageRoutes(parts, STYLE),
    { method: "POST", path: `${HOME}/sign-in`, handle: (matched) => signIn(matched, { ...parts, usedLinks }) },
    { method: "GET", path: `${HOME}/plot.css`, handle: keptText(plotStyle(uplot), "text/css; charset=utf-8", deps) },
    {
      method: "GET",
      path: `${HOME}/plot.js`,
      handle: keptText(plotScript(uplot), "text/javascript; charset=utf-8", deps),
    },
  ];
}

function portalRoutes(parts: PageParts, look: PortalLook): readonly DashboardRoute[] {
  const { door } = parts;
  const path = pathIn(door.place, `${HOME}/sign-in`);
  return [
    ...pageRoutes(parts, `${STYLE}${brandStyle(look)}`),
    { method: "GET", path, handle: async () => linkPage(door.place) },
    { method: "POST", path, handle: (matched) => enterByLink(door, matched, parts) },
  ];
}

/** What both places have. */
function pageRoutes(parts: PageParts, style: string): readonly DashboardRoute[] {
  const { door, deps } = parts;
  const at = (path: string): string => pathIn(door.place, path);
  return [
    ...pagesOf(door).map((rule): DashboardRoute => {
      return { method: rule.method, path: at(rule.path), handle: (matched) => showPage(rule, matched, parts) };
    }),
    { method: "GET", path: at(`${HOME}/`), handle: async () => moved(door.place, HOME, {}) },
    { method: "POST", path: at(`${HOME}/sign-out`), handle: (matched) => signOut(door, matched, parts) },
    { method: "GET", path: at(`${HOME}/style.css`), handle: keptText(style, "text/css; charset=utf-8", deps) },
    { method: "GET", path: at(`${HOME}/script.js`), handle: keptText(SCRIPT, "text/javascript; charset=utf-8", deps) },
  ];
}

function keptText(text: string, type: string, { hasher }: HandleDeps): DashboardRoute["handle"] {
  const kept = keep(text, { ...SAFE_FIELDS, "content-type": type }, hasher);
  return async ({ request }) => shownKept(kept, request.headers);
}

function pagesOf({ place }: Door): typeof pages {
  return pages.filter(({ section }) => place.shows(section));
}

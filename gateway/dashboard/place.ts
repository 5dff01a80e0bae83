/**
 * Where pages are shown: to who has an API key under `/dashboard`, to one tenant's people under `/portal`. The pages are the same, and
 * name their paths as those of the dashboard; on their way out they become those of the place.
 */
import type { Section } from "./page-request.ts";

export interface Place {
  readonly home: "/dashboard" | "/portal";
  readonly isPortal: boolean;
  /** At the head of each page, and in its title. */
  readonly name: string;
  readonly hasLogo: boolean;
  shows(section: Section): boolean;
  /** Whose pages may have these in a frame, as `frame-ancestors` takes it. */
  readonly ancestors: string;
}

export const HOME = "/dashboard";

export const DASHBOARD: Place = {
  home: HOME,
  isPortal: false,
  name: "Posthaste",
  hasLogo: false,
  shows: () => true,
  ancestors: "'none'",
};

/** A section that is new is the portal's only when it is named here. Never API keys: who holds one may do more than the portal. */
const PORTAL_SECTIONS: ReadonlySet<Section> = new Set([
  "overview",
  "events",
  "endpoints",
  "dead-letters",
  "live",
  "alerts",
  "event-types",
]);

export function portalPlace(parts: Pick<Place, "name" | "hasLogo"> & { readonly origins: readonly string[] }): Place {
  const { name, hasLogo, origins } = parts;
  return {
    home: "/portal",
    isPortal: true,
    name,
    hasLogo,
    shows: (section) => PORTAL_SECTIONS.has(section),
    ancestors: origins.length === 0 ? "'none'" : origins.join(" "),
  };
}

export function pathIn({ home }: Pick<Place, "home">, path: string): string {
  return home + path.slice(HOME.length);
}

/**
 * The attributes of ours that lead to a page. Templates escape quotes in all that others wrote, so that none of it looks like one.
 */
const OUR_LINKS = /(\s(?:href|action|src|data-from)=")\/dashboard(?=[/?#"])/g;

export function textIn({ home, isPortal }: Place, text: string): string {
  return isPortal ? text.replaceAll(OUR_LINKS, `$1${home}`) : text;
}

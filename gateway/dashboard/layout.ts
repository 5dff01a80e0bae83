/** The frame of every page: its head, who is signed in, where else to go. */
import { html } from "hono/html";
import type { ApiKey, Scope } from "@posthaste/shared/domain/api-key.ts";
import type { Markup } from "../html/markup.ts";
import { textOf } from "../html/markup.ts";
import { tokenField } from "./form-parts.ts";
import type { Section } from "./page-request.ts";
import { can } from "./page-request.ts";
import { NOTHING } from "./parts.ts";
import type { Place } from "./place.ts";

export interface Frame {
  readonly place: Place;
  readonly title: string;
  readonly body: Markup;
  readonly section: Section | null;
  /** Null: nobody is signed in. */
  readonly signedIn: {
    readonly caller: ApiKey;
    readonly token: string;
    /** Null: no link back. */
    readonly returnUrl: string | null;
  } | null;
}

interface Entry {
  readonly section: Section;
  readonly path: string;
  readonly name: string;
  readonly scope: Scope;
}

const entries: readonly Entry[] = [
  { section: "overview", path: "/dashboard", name: "Overview", scope: "read" },
  { section: "events", path: "/dashboard/events", name: "Events", scope: "read" },
  { section: "endpoints", path: "/dashboard/endpoints", name: "Endpoints", scope: "read" },
  { section: "dead-letters", path: "/dashboard/dead-letters", name: "Dead letters", scope: "read" },
  { section: "live", path: "/dashboard/live", name: "Live", scope: "read" },
  { section: "alerts", path: "/dashboard/alerts", name: "Alerts", scope: "read" },
  { section: "event-types", path: "/dashboard/event-types", name: "Event types", scope: "read" },
  { section: "api-keys", path: "/dashboard/api-keys", name: "API keys", scope: "manage" },
];

export function pageText({ place, title, body, section, signedIn }: Frame): string {
  return textOf(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>${title} · ${place.name}</title>
          <link rel="stylesheet" href="/dashboard/style.css" />
          <link rel="icon" href="data:," />
          <script src="/dashboard/script.js" defer></script>
        </head>
        <body>
          <a class="skip" href="#content">Skip to the content</a>
          <header>
            ${signedIn === null ? "" : backView(signedIn)}
            <a class="brand" href="/dashboard"
              >${place.hasLogo ? html`<span class="logo" aria-hidden="true"></span>` : ""} ${place.name}</a
            >
            ${signedIn === null ? "" : sectionsView(place, signedIn.caller, section)}
            ${signedIn === null ? "" : accountView(place, signedIn)}
          </header>
          <main id="content" tabindex="-1">
            <h1>${title}</h1>
            ${body}
          </main>
          <div id="said" class="unseen" role="status"></div>
        </body>
      </html>`,
  );
}

function sectionsView(place: Place, caller: ApiKey, current: Section | null): Markup {
  return html`<nav aria-label="Sections">
    ${entries
      .filter(({ section, scope }) => place.shows(section) && can(caller, scope))
      .map(
        ({ section, path, name }) =>
          html`<a href="${path}" ${section === current ? html`aria-current="page"` : ""}>${name}</a>`,
      )}
    ${place.isPortal ? "" : html`<a href="/docs">Docs</a>`}
  </nav>`;
}

/** Out of a frame, too: it leads to a page, and not to another one inside. */
function backView({ returnUrl }: NonNullable<Frame["signedIn"]>): Markup {
  if (returnUrl === null) return NOTHING;
  return html`<a class="back" href="${returnUrl}" target="_top">Back to ${new URL(returnUrl).host}</a>`;
}

/** People of the portal hold no key: whose they came by is not their affair. */
function accountView({ isPortal }: Place, { caller, token }: NonNullable<Frame["signedIn"]>): Markup {
  const who = isPortal
    ? html`<span class="quiet">${caller.tenant}</span>`
    : html`<span class="quiet" title="${caller.name}"
        >${caller.tenant === null ? "operator" : html`tenant ${caller.tenant}`} · <code>${caller.hint}</code></span
      >`;
  return html`<form method="post" action="/dashboard/sign-out" class="account">
    ${tokenField({ token })} ${who} ${can(caller, "manage") ? "" : html`<span class="quiet">may only look</span>`}
    <button class="plain">Sign out</button>
  </form>`;
}

/** The frame of every page: its head, who is signed in, where else to go. */
import { html } from "hono/html";
import type { ApiKey, Scope } from "@posthaste/shared/domain/api-key.ts";
import type { Markup } from "../html/markup.ts";
import { textOf } from "../html/markup.ts";
import { tokenField } from "./form-parts.ts";
import type { Section } from "./page-request.ts";
import { can } from "./page-request.ts";

export interface Frame {
  readonly title: string;
  readonly body: Markup;
  readonly section: Section | null;
  /** Null: nobody is signed in. */
  readonly signedIn: { readonly caller: ApiKey; readonly token: string } | null;
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
  { section: "event-types", path: "/dashboard/event-types", name: "Event types", scope: "read" },
  { section: "api-keys", path: "/dashboard/api-keys", name: "API keys", scope: "manage" },
];

export function pageText({ title, body, section, signedIn }: Frame): string {
  return textOf(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>${title} · Posthaste</title>
          <link rel="stylesheet" href="/dashboard/style.css" />
          <link rel="icon" href="data:," />
          <script src="/dashboard/script.js" defer></script>
        </head>
        <body>
          <a class="skip" href="#content">Skip to the content</a>
          <header>
            <a class="brand" href="/dashboard">Posthaste</a>
            ${signedIn === null ? "" : sectionsView(signedIn.caller, section)}
            ${signedIn === null ? "" : accountView(signedIn)}
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

function sectionsView(caller: ApiKey, current: Section | null): Markup {
  return html`<nav aria-label="Sections">
    ${entries
      .filter(({ scope }) => can(caller, scope))
      .map(
        ({ section, path, name }) =>
          html`<a href="${path}" ${section === current ? html`aria-current="page"` : ""}>${name}</a>`,
      )}
    <a href="/docs">Docs</a>
  </nav>`;
}

function accountView({ caller, token }: NonNullable<Frame["signedIn"]>): Markup {
  return html`<form method="post" action="/dashboard/sign-out" class="account">
    ${tokenField({ token })}
    <span class="quiet" title="${caller.name}">
      ${caller.tenant === null ? "operator" : html`tenant ${caller.tenant}`} · <code>${caller.hint}</code>
      ${can(caller, "manage") ? "" : "· may only look"}
    </span>
    <button class="plain">Sign out</button>
  </form>`;
}

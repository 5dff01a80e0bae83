/** How pages are sent: their fields, above all what they may load, and what is shown in place of one that was refused. */
import { html } from "hono/html";
import { problemOf } from "@posthaste/shared/domain/problem.ts";
import { textResponse } from "@posthaste/shared/ports/text-response.ts";
import { textOf } from "../html/markup.ts";
import type { HandleDeps, MatchedRequest } from "../request/handle.ts";
import { noteRefusal, publicError } from "../request/problem.ts";
import type { Frame } from "./layout.ts";
import { pageText } from "./layout.ts";
import type { Shown } from "./page-request.ts";
import type { Place } from "./place.ts";
import { HOME, pathIn, textIn } from "./place.ts";
import type { Refusal } from "./refused.ts";
import { Refused } from "./refused.ts";

/**
 * `same-origin` and not `no-referrer`: with that, browsers say `Origin: null` of our own forms, too. Other sites are told nothing
 * either way.
 */
export const SAFE_FIELDS = { "x-content-type-options": "nosniff", "referrer-policy": "same-origin" };
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
];
const PAGE_FIELDS = {
  ...SAFE_FIELDS,
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
};

export function htmlResponse(place: Place, status: number, text: string): Response {
  const policy = [...POLICY, `frame-ancestors ${place.ancestors}`, "base-uri 'none'"].join("; ");
  const headers = { ...PAGE_FIELDS, "content-security-policy": policy };
  return textResponse({ status, headers, text: textIn(place, text) });
}

/** `to`: a path of the dashboard, whichever the place is. */
export function moved(place: Place, to: string, extra: Readonly<Record<string, string>>): Response {
  return new Response(null, {
    status: 303,
    headers: { ...SAFE_FIELDS, "cache-control": "no-store", location: pathIn(place, to), ...extra },
  });
}

/** The same address, asked for by a page of ours: with the cookie, if there is one. */
export function comeAgain(place: Place): Response {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="refresh" content="0" />
        <title>${place.name}</title>
      </head>
      <body></body>
    </html>`;
  return htmlResponse(place, 200, textOf(page));
}

type PageFrame = Pick<Frame, "place" | "section" | "signedIn">;

export function pageResponse(shown: Shown, frame: PageFrame): Response {
  switch (shown.kind) {
    case "moved":
      return moved(frame.place, shown.to, {});
    case "stream":
      return shown.response;
    case "page": {
      const text = pageText({ ...frame, title: shown.title, body: shown.body });
      return htmlResponse(frame.place, shown.status ?? 200, text);
    }
  }
}

export function refusedPage(
  thrown: unknown,
  { context }: MatchedRequest,
  deps: HandleDeps,
  frame: PageFrame,
): Response {
  const { status, title, detail } = refusalOfThrown(thrown, context, deps);
  const body = html`<p>${detail}</p>
    <p><a href="${HOME}">To the overview</a></p>`;
  return htmlResponse(frame.place, status, pageText({ ...frame, title, body }));
}

function refusalOfThrown(thrown: unknown, context: MatchedRequest["context"], deps: HandleDeps): Refusal {
  if (thrown instanceof Refused) return thrown.refusal;
  const error = publicError(thrown, deps.telemetry.log, context.route);
  noteRefusal(context, error);
  return problemOf(error);
}

/**
 * `GET /openapi.json` and `GET /docs`: the description of the API, for programs and for people, without a key. What makes them is
 * loaded when one is first asked for, and the text is kept: it costs a start nothing, and is the same for every gateway of the program.
 */
import { encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Kept } from "../html/kept.ts";
import { keeping, shown } from "../html/kept.ts";
import type { Route } from "../request/handle.ts";
import type { OpenRoute } from "../resources/health.ts";
import type { OpenApi } from "./open-api.ts";

const JSON_PATH = "/openapi.json";
const PAGE_PATH = "/docs";

// Values alone: at the edge a promise must not be shared between requests. Who has loaded what makes them looks again: each takes
// the event loop for 15 ms, and hundreds may ask first at once, without a key.
let keptJson: Kept | null = null;
let keptPage: Kept | null = null;

/** `others` are the other routes without a key. */
export function referenceRoutes(
  routes: readonly Route[],
  others: readonly { readonly path: string }[],
  hasher: Hasher,
): readonly OpenRoute[] {
  const open = [...others, { path: JSON_PATH }, { path: PAGE_PATH }];
  return [
    {
      path: JSON_PATH,
      handle: async (headers) => {
        if (keptJson === null) {
          const { createDocument } = await import("./document.ts");
          keptJson ??= jsonOf(createDocument(routes, open), hasher);
        }
        return shown(keptJson, headers);
      },
    },
    {
      path: PAGE_PATH,
      handle: async (headers) => {
        if (keptPage === null) {
          const [{ createDocument }, { referencePage }, { STYLE }] = [
            await import("./document.ts"),
            await import("./page/page.ts"),
            await import("./page/style.ts"),
          ];
          keptPage ??= pageOf(referencePage(createDocument(routes, open)), STYLE, hasher);
        }
        return shown(keptPage, headers);
      },
    },
  ];
}

function jsonOf(document: OpenApi, hasher: Hasher): Kept {
  const text = JSON.stringify(document);
  return { text, headers: { ...keeping(text, hasher), "content-type": "application/json" } };
}

function pageOf(text: string, styleText: string, hasher: Hasher): Kept {
  return { text, headers: { ...keeping(text, hasher), ...pageHeaders(styleText, hasher) } };
}

/** The page has one style of its own, and nothing else may be loaded, run, sent or framed. */
function pageHeaders(styleText: string, hasher: Hasher): Record<string, string> {
  const style = encodeBase64(hasher.sha256(styleText));
  const policy = `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
}

/**
 * `GET /openapi.json` and `GET /docs`: the description of the API, for programs and for people, without a key. Each is made when it
 * is first asked for and then kept as text: it costs a start nothing, and is the same for every gateway of the program.
 */
import { encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Kept } from "../html/kept.ts";
import { keeping, shown } from "../html/kept.ts";
import type { Route } from "../request/handle.ts";
import type { OpenRoute } from "../resources/health.ts";
import { createDocument } from "./document.ts";
import type { OpenApi } from "./open-api.ts";
import { referencePage } from "./page/page.ts";
import { STYLE } from "./page/style.ts";

const JSON_PATH = "/openapi.json";
const PAGE_PATH = "/docs";

let keptDocument: OpenApi | null = null;
let keptJson: Kept | null = null;
let keptPage: Kept | null = null;

/** `others` are the other routes without a key. */
export function referenceRoutes(
  routes: readonly Route[],
  others: readonly { readonly path: string }[],
  hasher: Hasher,
): readonly OpenRoute[] {
  const open = [...others, { path: JSON_PATH }, { path: PAGE_PATH }];
  const documentOf = (): OpenApi => (keptDocument ??= createDocument(routes, open));
  const jsonOf = (): Kept => {
    const text = JSON.stringify(documentOf());
    return { text, headers: { ...keeping(text, hasher), "content-type": "application/json" } };
  };
  const pageOf = (): Kept => {
    const text = referencePage(documentOf());
    return { text, headers: { ...keeping(text, hasher), ...pageHeaders(hasher) } };
  };
  return [
    { path: JSON_PATH, handle: async (headers) => shown((keptJson ??= jsonOf()), headers) },
    { path: PAGE_PATH, handle: async (headers) => shown((keptPage ??= pageOf()), headers) },
  ];
}

/** The page has one style of its own, and nothing else may be loaded, run, sent or framed. */
function pageHeaders(hasher: Hasher): Record<string, string> {
  const style = encodeBase64(hasher.sha256(STYLE));
  const policy = `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
}

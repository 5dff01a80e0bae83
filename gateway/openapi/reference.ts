/**
 * `GET /openapi.json` and `GET /docs`: the description of the API, for programs and for people, without a key. What makes them is
 * loaded when one is first asked for, and the text is kept until the catalogue of event types is another one: it costs a start
 * nothing, and is the same for every gateway of the deployment that knows the same catalogue.
 */
import { encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import type { Catalogue } from "@posthaste/shared/domain/event-types.ts";
import { CATALOGUE_RULES } from "@posthaste/shared/domain/event-types.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Kept } from "../html/kept.ts";
import { keep, shown } from "../html/kept.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Route } from "../request/handle.ts";
import type { OpenRoute } from "../resources/health.ts";
import type { OpenApi } from "./open-api.ts";

const JSON_PATH = "/openapi.json";
const PAGE_PATH = "/docs";

interface KeptFor extends Kept {
  readonly version: string;
}

// Values alone: at the edge a promise must not be shared between requests. Who has loaded what makes them looks again: each takes
// the event loop for 15 ms, and hundreds may ask first at once, without a key. The version is that of the catalogue.
let keptJson: KeptFor | null = null;
let keptPage: KeptFor | null = null;

type ReferenceDeps = Pick<GatewayDeps, "catalogue" | "hasher"> & {
  readonly drivers: Pick<GatewayDeps["drivers"], "eventTypes">;
};

/** `others` are the other routes without a key. */
export function referenceRoutes(
  routes: readonly Route[],
  others: readonly { readonly path: string }[],
  deps: ReferenceDeps,
): readonly OpenRoute[] {
  const { hasher } = deps;
  const open = [...others, { path: JSON_PATH }, { path: PAGE_PATH }];
  return [
    {
      path: JSON_PATH,
      handle: async (headers) => {
        const catalogue = await shownCatalogue(deps);
        const version = versionOf(catalogue);
        if (keptJson?.version !== version) {
          const { createDocument } = await import("./document.ts");
          if (keptJson?.version !== version) {
            keptJson = { ...jsonOf(createDocument(routes, open, catalogue), hasher), version };
          }
        }
        return shown(keptJson, headers);
      },
    },
    {
      path: PAGE_PATH,
      handle: async (headers) => {
        const catalogue = await shownCatalogue(deps);
        const version = versionOf(catalogue);
        if (keptPage?.version !== version) {
          const [{ createDocument }, { referencePage }, { STYLE }] = [
            await import("./document.ts"),
            await import("./page/page.ts"),
            await import("./page/style.ts"),
          ];
          if (keptPage?.version !== version) {
            keptPage = { ...pageOf(referencePage(createDocument(routes, open, catalogue)), STYLE, hasher), version };
          }
        }
        return shown(keptPage, headers);
      },
    },
  ];
}

/** Null: there is nothing of it to show, or it is for those with a key alone. */
async function shownCatalogue({
  catalogue: rules = CATALOGUE_RULES,
  drivers,
}: ReferenceDeps): Promise<Catalogue | null> {
  const known = rules.isShown ? await drivers.eventTypes.known() : null;
  return known === null || known.types.size === 0 ? null : known;
}

/** By what it holds, too: gateways of one process may be of several deployments, as in tests. */
function versionOf(catalogue: Catalogue | null): string {
  return catalogue === null
    ? ""
    : `${catalogue.version} ${[...catalogue.types.values()].map(({ name, updatedAtMs }) => `${name}@${updatedAtMs}`).join()}`;
}

function jsonOf(document: OpenApi, hasher: Hasher): Kept {
  return keep(JSON.stringify(document), { "content-type": "application/json" }, hasher);
}

function pageOf(text: string, styleText: string, hasher: Hasher): Kept {
  return keep(text, pageHeaders(styleText, hasher), hasher);
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

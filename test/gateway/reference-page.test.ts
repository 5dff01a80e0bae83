/** `/docs`: everything that is described stands on it, it loads and runs nothing, and what it links to is there. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { EventTypes } from "@posthaste/shared/ports/event-types.ts";
import { partsOf } from "@posthaste/shared/ports/text-response.ts";
import { referenceRoutes } from "@posthaste/gateway/openapi/reference.ts";
import { referencePage } from "@posthaste/gateway/openapi/page/page.ts";
import { testHasher } from "../support/ambient.ts";
import { DOCUMENT, OPEN_ROUTES, ROUTES } from "../support/documented-answers.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";

const page = referencePage(DOCUMENT);
const all = (pattern: RegExp): readonly string[] => Array.from(page.matchAll(pattern), ([, found = ""]) => found);

// First here: what the routes make is kept for the whole process.
test("many who ask first at once have it made once: each making takes the event loop, and nobody needs a key", async () => {
  let hashed = 0;
  const counting = {
    ...testHasher,
    sha256: (...given: Parameters<typeof testHasher.sha256>) => (hashed++, testHasher.sha256(...given)),
  };
  const routes = referenceRoutes(
    ROUTES,
    OPEN_ROUTES.filter(({ path }) => !/docs|openapi/.test(path)),
    { hasher: counting, drivers: { eventTypes: { known: () => null } as unknown as EventTypes } },
  );
  const asked = Array.from({ length: 20 }, () => routes.map(({ handle }) => handle(new Headers()))).flat();
  const answers = await Promise.all(asked);
  assert.ok(answers.every(({ status }) => status === 200));
  assert.ok(hashed <= 3, `${hashed} of two texts and a style`);
  const texts = new Set(answers.map((answer) => partsOf(answer)?.text));
  assert.equal(texts.size, 2, "who does not read what they asked for holds nothing of their own");
  for (const text of texts) assert.ok(text instanceof Uint8Array);
});

test("every operation, message and schema has its place, and every link of the page leads to one", () => {
  const ids = all(/\bid="([^"]+)"/g);
  assert.equal(new Set(ids).size, ids.length, "an id is given once");
  const paths = [...Object.values(DOCUMENT.paths), ...Object.values(DOCUMENT.webhooks)];
  const summaries = paths.flatMap((item) => Object.values(item)).map(({ summary }) => summary);
  for (const summary of summaries) assert.ok(page.includes(`<h3>${summary.replaceAll("'", "&#39;")}</h3>`), summary);
  assert.equal(all(/<article id="(schema-)/g).length, Object.keys(DOCUMENT.components.schemas).length);
  assert.equal(all(/<article (id)/g).length, summaries.length + Object.keys(DOCUMENT.components.schemas).length);
  const links = all(/href="([^"]+)"/g);
  assert.deepEqual(
    links.filter((link) => link !== "/openapi.json" && !ids.includes(link.slice(1))),
    [],
  );
});

test("it has no script, no handler, nothing from elsewhere, and its policy allows its own style alone", async () => {
  assert.doesNotMatch(page, /<script|<img|<link|<iframe|<form|\bon\w+=|\bstyle=|\bsrc=|javascript:/);
  await using harness = await openGatewayHarness();
  const { headers, text } = await harness.call("GET", "/docs", { key: null });
  assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
  const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  const policy = headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; /);
  assert.ok(policy.includes(`style-src 'sha256-${hash}';`), policy);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
});

test("what the description says is escaped", () => {
  const { info } = DOCUMENT;
  const hostile = referencePage({
    ...DOCUMENT,
    info: { ...info, description: "<script>alert(1)</script> `<b>` & co" },
  });
  assert.ok(hostile.includes("&lt;script&gt;alert(1)&lt;/script&gt; <code>&lt;b&gt;</code> &amp; co"));
  assert.doesNotMatch(hostile, /<script/);
});

test("it says its language, its width, and where its content begins; headings go down one by one", () => {
  assert.match(page, /<html lang="en">/);
  assert.match(page, /<meta name="viewport" content="width=device-width, initial-scale=1"/);
  assert.match(page, /<a class="skip" href="#content">/);
  const levels = all(/<h([1-6])\b/g).map(Number);
  assert.equal(levels.filter((level) => level === 1).length, 1);
  for (const [index, level] of levels.entries()) assert.ok(level <= (levels[index - 1] ?? 0) + 1, `heading ${index}`);
});

/** `/docs`: the description of the API as one page of plain HTML, made from the document alone. */
import { html, raw } from "hono/html";
import type { OpenApi } from "../open-api.ts";
import type { JsonSchema } from "../json-schema.ts";
import type { Markup } from "../../html/markup.ts";
import { anchor, prose, textOf } from "../../html/markup.ts";
import type { Shown } from "./operation-view.ts";
import { operationView } from "./operation-view.ts";
import { kindOf, membersOf } from "./schema-view.ts";
import { STYLE } from "./style.ts";

interface Section {
  readonly name: string;
  readonly description: string;
  readonly shown: readonly Shown[];
}

export function referencePage(document: OpenApi): string {
  const { info, components } = document;
  const sections = sectionsOf(document);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${info.title} API ${info.version}</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <div class="page">
          <nav class="wide" aria-label="Contents">${contents(sections)}</nav>
          <main id="content">
            <h1>${info.title} API</h1>
            <p class="quiet">
              Version ${info.version}, as OpenAPI ${document.openapi}: <a href="/openapi.json">openapi.json</a>
            </p>
            ${prose(info.description)}
            <nav class="narrow" aria-label="Contents">
              <details>
                <summary>Contents</summary>
                ${contents(sections)}
              </details>
            </nav>
            ${sections.map((section) => sectionView(document, section))} ${schemasView(components.schemas)}
          </main>
        </div>
      </body>
    </html>`;
  return textOf(page);
}

function sectionsOf({ tags, paths, webhooks }: OpenApi): readonly Section[] {
  const calls = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): Shown => ({ method, path, operation })),
  );
  const messages = Object.entries(webhooks).flatMap(([path, item]) =>
    Object.values(item).map((operation): Shown => ({ method: "hook", path, operation })),
  );
  return tags.map(({ name, description }) => ({
    name,
    description,
    shown: [...calls, ...messages].filter(({ operation }) => operation.tags.includes(name)),
  }));
}

/** There twice: beside the text on a wide screen, and to be opened on a narrow one. Of the two one is shown. */
function contents(sections: readonly Section[]): Markup {
  return html`${sections.map(
      ({ name, shown }) =>
        html`<strong><a href="#${anchor(`tag ${name}`)}">${name}</a></strong>
          <ul>
            ${shown.map(
              ({ operation }) => html`<li><a href="#${anchor(operation.operationId)}">${operation.summary}</a></li>`,
            )}
          </ul>`,
    )} <strong><a href="#schemas">Schemas</a></strong>`;
}

function sectionView(document: OpenApi, { name, description, shown }: Section): Markup {
  return html`<section>
    <h2 id="${anchor(`tag ${name}`)}">${name}</h2>
    ${prose(description)} ${shown.map((each) => operationView(document, each))}
  </section>`;
}

function schemasView(schemas: Readonly<Record<string, JsonSchema>>): Markup {
  return html`<section>
    <h2 id="schemas">Schemas</h2>
    ${Object.entries(schemas).map(
      ([name, schema]) =>
        html`<article id="${anchor(`schema ${name}`)}">
          <h3>${name}</h3>
          <p class="kind">${kindOf(schema)}</p>
          ${membersOf(schema) ?? ""}
        </article>`,
    )}
  </section>`;
}

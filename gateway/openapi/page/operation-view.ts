/** One operation of the page: what it is for, what it takes, a request to paste, and each answer. */
import { html } from "hono/html";
import type { Content, OpenApi, OperationObject, ResponseObject } from "../open-api.ts";
import { responseOf } from "../problems.ts";
import type { Markup } from "./markup.ts";
import { anchor, block, example, inline, prose } from "./markup.ts";
import { kindOf, memberRow, membersOf } from "./schema-view.ts";

export interface Shown {
  /** `hook` for a message that receivers get. */
  readonly method: string;
  /** Of a message its name. */
  readonly path: string;
  readonly operation: OperationObject;
}

export function operationView(document: OpenApi, { method, path, operation }: Shown): Markup {
  const { operationId, summary, description, requestBody } = operation;
  const isHook = method === "hook";
  return html`<article id="${anchor(operationId)}">
    <h3>${summary}</h3>
    <p class="call">
      <code class="method ${method}">${isHook ? "to you" : method.toUpperCase()}</code> <code>${path}</code>
      ${isHook ? "" : html`<span class="kind">${scopeOf(operation)}</span>`}
    </p>
    ${description === undefined ? "" : prose(description)} ${parametersView(operation)}
    ${
      requestBody === undefined
        ? ""
        : html`<h4>Body</h4>
            ${inline(requestBody.description ?? "")}${bodyView(requestBody.content)}`
    }
    ${
      isHook
        ? ""
        : html`<h4>Request</h4>
            ${block(curlOf(method, path, operation))}`
    }
    <h4>${isHook ? "Your answer" : "Answers"}</h4>
    ${Object.entries(operation.responses).map(([status, response]) => answerView(status, responseOf(document, response)))}
  </article>`;
}

function scopeOf({ security }: OperationObject): string {
  const [scope] = Object.values(security[0] ?? {}).flat();
  return scope === undefined ? "without a key" : `scope ${scope}`;
}

function parametersView({ parameters = [] }: OperationObject): Markup | string {
  if (parameters.length === 0) return "";
  const rows = parameters.map(({ name, schema, required = false, description, in: place }) =>
    memberRow({ name, schema, isNeeded: required, description, place }),
  );
  return html`<h4>Parameters</h4>
    <dl>${rows}</dl>`;
}

function bodyView(content: Content): Markup {
  return html`${Object.entries(content).map(
    ([type, { schema, example: shown }]) =>
      html`<p class="kind"><code>${type}</code>: ${kindOf(schema)}</p>
        ${membersOf(schema) ?? ""}${shown === undefined ? "" : example(shown)}`,
  )}`;
}

const PROBLEM = "application/problem+json";

/** Problems are all of one form, which has a place of its own. */
function answerView(status: string, { description, content }: ResponseObject): Markup {
  const head = html`<span class="status">${status}</span>${inline(description)}`;
  if (content === undefined || Object.hasOwn(content, PROBLEM)) return html`<div class="answer"><p>${head}</p></div>`;
  return html`<details class="answer">
    <summary>${head}</summary>
    ${bodyView(content)}
  </details>`;
}

/** To be pasted, with the key in `$KEY` and the gateway in `$API`. */
function curlOf(method: string, path: string, { security, parameters = [], requestBody }: OperationObject): string {
  const query = parameters
    .filter((parameter) => parameter.in === "query" && parameter.required === true)
    .map(({ name }) => `${name}=...`);
  const address = `"$API${path.replace("{id}", "$ID")}${query.length === 0 ? "" : `?${query.join("&")}`}"`;
  const body = requestBody?.content["application/json"]?.example;
  const options = [
    ...(method === "get" ? [] : [`-X ${method.toUpperCase()}`]),
    ...(security.length === 0 ? [] : ['-H "authorization: Bearer $KEY"']),
    ...(body === undefined
      ? []
      : ["-H 'content-type: application/json'", `-d '${JSON.stringify(body).replaceAll("'", String.raw`'\''`)}'`]),
  ];
  return [`curl -i ${address}`, ...options].join(" \\\n  ");
}

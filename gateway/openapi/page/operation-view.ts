/** One operation of the page: what it is for, what it takes, a request to paste, and each answer. */
import { html } from "hono/html";
import type { JsonSchema } from "../json-schema.ts";
import type {
  Content,
  MediaType,
  OpenApi,
  OperationObject,
  Parameter,
  Reference,
  ResponseObject,
} from "../open-api.ts";
import { parameterOf } from "../webhooks.ts";
import { responseOf } from "../problems.ts";
import type { Markup } from "../../html/markup.ts";
import { anchor, block, example, inline, prose } from "../../html/markup.ts";
import { kindOf, memberRow, membersOf, resolved } from "./schema-view.ts";

export interface Shown {
  /** `hook` for a message that receivers get. */
  readonly method: string;
  /** Of a message its name. */
  readonly path: string;
  readonly operation: OperationObject;
}

export function operationView(document: OpenApi, { method, path, operation }: Shown): Markup {
  const { operationId, summary, description, requestBody } = operation;
  const parameters = (operation.parameters ?? []).map((parameter) => parameterOf(document, parameter));
  const isHook = method === "hook";
  return html`<article id="${anchor(operationId)}">
    <h3>${summary}</h3>
    <p class="call">
      <code class="method ${method}">${isHook ? "to you" : method.toUpperCase()}</code> <code>${path}</code>
      ${isHook ? "" : html`<span class="kind">${scopeOf(operation)}</span>`}
    </p>
    ${description === undefined ? "" : prose(description)}
    ${isHook && path !== FIRST_MESSAGE ? FIELDS_ABOVE : parametersView(parameters, isHook)}
    ${
      requestBody === undefined
        ? ""
        : html`<h4>Body</h4>
            ${inline(requestBody.description ?? "")}${bodyView(requestBody.content, (schema) => resolved(document, schema))}`
    }
    ${
      isHook
        ? ""
        : html`<h4>Request</h4>
            ${block(curlOf(method, path, operation, parameters))}`
    }
    <h4>${isHook ? "Your answer" : "Answers"}</h4>
    ${inOrder(operation.responses).map(([status, response]) => answerView(status, responseOf(document, response)))}
  </article>`;
}

/** JavaScript puts numbers first, and 2XX stands before 410. */
function inOrder(responses: OperationObject["responses"]): readonly (readonly [string, ResponseObject | Reference])[] {
  return Object.entries(responses).toSorted(([one], [other]) => (one < other ? -1 : 1));
}

function scopeOf({ security }: OperationObject): string {
  const [scope] = Object.values(security[0] ?? {}).flat();
  return scope === undefined ? "without a key" : `scope ${scope}`;
}

/** All messages have the same fields. */
const FIRST_MESSAGE = "event";
const FIELDS_ABOVE = html`<p>In the header: the fields of <a href="#receive-event">an event</a>.</p>`;

function parametersView(parameters: readonly Parameter[], isHook: boolean): Markup | string {
  if (parameters.length === 0) return "";
  const rows = parameters.map(({ name, schema, required = false, description, in: place }) =>
    memberRow({ name, schema, isNeeded: required, description, ...(isHook ? {} : { place }) }),
  );
  return html`<h4>${isHook ? "Header fields" : "Parameters"}</h4>
    <dl>${rows}</dl>`;
}

/** `shown` is the schema whose members are listed. */
function bodyView(content: Content, shown: (schema: JsonSchema) => JsonSchema): Markup {
  return html`${Object.entries(content).map(
    ([type, { schema, example: value, "x-events": events = {} }]) =>
      html`<p class="kind"><code>${type}</code>: ${kindOf(schema)}</p>
        ${membersOf(shown(schema)) ?? ""} ${streamedView(events)} ${value === undefined ? "" : example(value)}`,
  )}`;
}

function streamedView(events: NonNullable<MediaType["x-events"]>): Markup {
  return html`${Object.entries(events).map(
    ([name, schema]) =>
      html`<h4>Data of <code>${name}</code></h4>
        ${membersOf(schema) ?? ""}`,
  )}`;
}

const PROBLEM = "application/problem+json";

/** Problems are all of one form, which has a place of its own. */
function answerView(status: string, { description, content }: ResponseObject): Markup {
  const head = html`<span class="status">${status}</span>${inline(description)}`;
  if (content === undefined || Object.hasOwn(content, PROBLEM)) return html`<div class="answer"><p>${head}</p></div>`;
  return html`<details class="answer">
    <summary>${head}</summary>
    ${bodyView(content, (schema) => schema)}
  </details>`;
}

/** To be pasted, with the key in `$KEY` and the gateway in `$API`. */
function curlOf(
  method: string,
  path: string,
  { security, requestBody }: OperationObject,
  parameters: readonly Parameter[],
): string {
  const query = parameters
    .filter((parameter) => parameter.in === "query" && parameter.required === true)
    .map(({ name }) => `${name}=...`);
  const address = `"$API${path.replace(/\{(\w+)\}/, (_, name: string) => `$${name.toUpperCase()}`)}${query.length === 0 ? "" : `?${query.join("&")}`}"`;
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

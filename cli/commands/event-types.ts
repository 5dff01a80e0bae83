/** `posthaste event-types`: the catalogue of event types. */
import { readFileSync } from "node:fs";
import type { EventType } from "@posthaste/client/public.ts";
import { jsonLoss } from "@posthaste/shared/domain/json-loss.ts";
import { defineCall, forEachId } from "../api/call-command.ts";
import { listOptions, listRows } from "../api/list-rows.ts";
import { ago } from "../screen/ago.ts";
import { printable } from "../screen/printable.ts";
import { factsOf } from "../screen/table.ts";
import type { Command } from "../words/command.ts";
import { flag, text, WrongWords } from "../words/option.ts";

const NAME = { name: "NAME", summary: "the type's name, such as invoice.paid" };

const list = defineCall({
  name: "event-types list",
  summary: "lists the event types of the catalogue, which is the same for all tenants",
  options: { ...listOptions },
  examples: ["posthaste event-types list", "posthaste event-types list --all --json | jq -r .name"],
  run({ options }, calls) {
    const now = calls.nowMs();
    return listRows<EventType>(
      {
        thing: "event type",
        columns: [
          { title: "NAME", cell: ({ name }) => name, widthMin: 12 },
          { title: "DESCRIPTION", cell: ({ description }) => description ?? "", widthMin: 12, leftOut: 1 },
          { title: "SCHEMA", cell: ({ schema }) => (schema === null ? "none" : "checked") },
          { title: "STATE", cell: ({ deprecated }) => (deprecated ? "deprecated" : "current") },
          { title: "CHANGED", cell: ({ updated_at: at }) => ago(at, now), isRight: true, leftOut: 2 },
        ],
        page: (query) => calls.client.eventTypes.list(query),
      },
      options,
      calls,
    );
  },
});

const show = defineCall({
  name: "event-types show",
  summary: "shows an event type with its schema and its example",
  operands: [NAME],
  options: {},
  examples: ["posthaste event-types show invoice.paid", "posthaste event-types show invoice.paid --json | jq .schema"],
  async run({ operands: [name = ""] }, { client, isJson, printJson, screen, nowMs }) {
    const type = await client.eventTypes.get(name);
    if (isJson) await printJson(type);
    else {
      const facts = [
        ["Event type", type.name],
        ["Description", type.description],
        ["State", type.deprecated ? "deprecated" : "current"],
        ["Changed", `${type.updated_at} (${ago(type.updated_at, nowMs())})`],
        ["Schema", type.schema === null ? "none: any data will do" : null],
      ] as const;
      await screen.print(factsOf(facts, screen.styled));
      if (type.schema !== null) await screen.print(`Schema:\n${linesOf(type.schema)}\n`);
      if ("example" in type) await screen.print(`Example:\n${linesOf(type.example)}\n`);
    }
    return 0;
  },
});

const put = defineCall({
  name: "event-types put",
  summary: "adds an event type to the catalogue, or replaces it as a whole",
  about:
    "With an operator key. What is not given is taken away from a type that is there: put it whole, from files that lie in your repository. From then on an event of the type whose data does not fit the schema is refused.",
  operands: [NAME],
  options: {
    description: text("TEXT", "what it says, for people"),
    "schema-file": text("FILE", "a file with the JSON Schema (2020-12) of its data"),
    "example-file": text("FILE", "a file with an example of its data as JSON; test events carry it"),
    deprecated: flag("still taken, and shown as such"),
  },
  examples: [
    "posthaste event-types put invoice.paid --description 'An invoice was paid.' --schema-file invoice.paid.schema.json --example-file invoice.paid.json",
    "posthaste event-types put invoice.seen --deprecated",
  ],
  async run({ operands: [name = ""], options }, { client, isJson, printJson, screen }) {
    const { description, deprecated } = options;
    const schema = jsonIn("schema-file", options["schema-file"]);
    if (schema !== undefined && (typeof schema !== "object" || schema === null)) {
      throw new WrongWords("--schema-file must hold a JSON Schema, which is an object");
    }
    const example = jsonIn("example-file", options["example-file"]);
    const type = await client.eventTypes.put(name, { description, schema, example, deprecated });
    if (isJson) await printJson(type);
    else {
      const checked = type.schema === null ? "without a schema" : "with its schema";
      await screen.print(`${type.name} is in the catalogue, ${checked}.\n`);
    }
    return 0;
  },
});

const remove = defineCall({
  name: "event-types delete",
  summary: "takes event types out of the catalogue",
  about: "With an operator key. Events of them are taken on, unless the gateways have EVENT_TYPES=listed.",
  operands: [{ ...NAME, isMany: true }],
  options: {},
  examples: ["posthaste event-types delete invoice.seen"],
  run: ({ operands: names }, calls) =>
    forEachId(names, calls, async (name) => {
      await calls.client.eventTypes.delete(name);
      if (calls.isJson) await calls.printJson({ name, status: "deleted" });
      else await calls.screen.print(`${name} is deleted.\n`);
    }),
});

function linesOf(value: unknown): string {
  return JSON.stringify(value, null, 2).split("\n").map(printable).join("\n");
}

function jsonIn(option: string, file: string | undefined): unknown {
  if (file === undefined) return undefined;
  let [fileText, value]: [string, unknown] = ["", null];
  try {
    fileText = readFileSync(file, "utf8");
    value = JSON.parse(fileText);
  } catch (error) {
    throw new WrongWords(
      `--${option} ${file} cannot be read as JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const loss = jsonLoss(fileText, value);
  if (loss === null) return value;
  const place = loss.path.length === 0 ? "" : `: ${JSON.stringify(loss.path.join("."))}`;
  throw new WrongWords(`--${option} ${file}${place} ${loss.detail}`);
}

export const eventTypes: readonly Command[] = [list, show, put, remove];

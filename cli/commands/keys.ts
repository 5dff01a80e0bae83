/** `posthaste keys`: API keys. */
import type { ApiKey, KeyRateLimit } from "@posthaste/client/public.ts";
import { defineCall, forEachId } from "../api/call-command.ts";
import { listOptions, listRows } from "../api/list-rows.ts";
import { ago } from "../screen/ago.ts";
import type { Style } from "../screen/screen.ts";
import { printable } from "../screen/printable.ts";
import type { Command } from "../words/command.ts";
import { choicesOf, text, time, WrongWords } from "../words/option.ts";
import { rateLimit } from "./endpoint-options.ts";

const STYLES = { usable: "green", revoked: "red", expired: "yellow" } as const satisfies Record<string, Style>;

const list = defineCall({
  name: "keys list",
  summary: "lists API keys by their first characters; of operators with --tenant '*'",
  options: { ...listOptions },
  examples: ["posthaste keys list --tenant acme", "posthaste keys list --tenant '*' --all"],
  run({ options }, calls) {
    const now = calls.nowMs();
    return listRows<ApiKey>(
      {
        thing: "key",
        columns: [
          { title: "ID", cell: ({ id }) => id },
          { title: "NAME", cell: ({ name }) => name, widthMin: 10 },
          { title: "TENANT", cell: ({ tenant }) => tenant, widthMin: 8 },
          { title: "KEY", cell: ({ hint }) => hint },
          { title: "SCOPES", cell: ({ scopes }) => scopes.join(","), leftOut: 1 },
          { title: "LIMIT", cell: ({ rate_limit: limit }) => limitText(limit), leftOut: 4 },
          { title: "STATUS", cell: ({ status }) => status, style: ({ status }) => STYLES[status] },
          { title: "MADE", cell: ({ created_at: at }) => ago(at, now), isRight: true, leftOut: 3 },
          { title: "EXPIRES", cell: ({ expires_at: at }) => ago(at, now), isRight: true, leftOut: 2 },
        ],
        page: (query) => calls.client.apiKeys.list(query),
      },
      options,
      calls,
    );
  },
});

function limitText(limit: KeyRateLimit | null): string {
  return limit === null ? "none" : `${limit.limit}/${limit.window_ms}`;
}

const create = defineCall({
  name: "keys create",
  summary: "makes an API key and shows it, once",
  about: "The key is for the tenant of --tenant; --tenant operator makes a key that acts for every tenant.",
  options: {
    name: text("NAME", "what it is recognised by (needed)"),
    scopes: choicesOf(["publish", "read", "manage"], "SCOPES", "what it may do, with commas (all)"),
    "rate-limit": rateLimit("events and requests in so many ms, such as 1000/1000"),
    expires: time("when it ends: a time, or a span such as 30d from now", "ahead"),
  },
  examples: [
    "posthaste keys create --name shop --tenant acme --scopes publish",
    "posthaste keys create --name support --tenant acme --scopes read --expires 30d --json | jq -r .key",
  ],
  async run({ options }, { client, isJson, printJson, screen }) {
    if (options.name === undefined) throw new WrongWords("keys create needs --name, by which the key is recognised");
    const made = await client.apiKeys.create({
      name: options.name,
      scopes: options.scopes.length === 0 ? undefined : options.scopes,
      rate_limit: options["rate-limit"] ?? undefined,
      expires_at: options.expires,
    });
    if (isJson) await printJson(made);
    else {
      await screen.print(`${made.key}\n`);
      const { id, tenant, scopes } = made;
      screen.say(printable(`The key ${id} of ${tenant} may ${scopes.join(", ")}. It is shown this once: keep it now.`));
    }
    return 0;
  },
});

const revoke = defineCall({
  name: "keys revoke",
  summary: "ends API keys, within a second everywhere",
  operands: [{ name: "ID", summary: "the key's id, key_...", isMany: true }],
  options: {},
  examples: ["posthaste keys revoke key_01m8545zc1q0"],
  run: ({ operands: ids }, calls) =>
    forEachId(ids, calls, async (id) => {
      await calls.client.apiKeys.revoke(id);
      if (calls.isJson) await calls.printJson({ id, status: "revoked" });
      else await calls.screen.print(`${id} is revoked.\n`);
    }),
});

export const keys: readonly Command[] = [list, create, revoke];

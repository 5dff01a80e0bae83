/** Commands that call a gateway: what all of them take, the client they get, and how their failures are told. */
import type { Client } from "@posthaste/client/public.ts";
import { createClient, ProblemError } from "@posthaste/client/public.ts";
import type { Environment } from "@posthaste/shared/domain/config.ts";
import type { Screen } from "../screen/screen.ts";
import type { Command, Context, Definition, Given, Options } from "../words/command.ts";
import { defineCommand } from "../words/command.ts";
import { flag, text, WrongWords } from "../words/option.ts";
import { isHttpUrl, isOnThisMachine } from "./http-url.ts";
import { findKey } from "./api-key-source.ts";
import type { Place } from "./explain.ts";
import { explain } from "./explain.ts";

export const DEFAULT_URL = "http://127.0.0.1:8080";

const shared = {
  url: text("URL", `where the gateway listens (POSTHASTE_URL, else ${DEFAULT_URL})`),
  "key-file": text("FILE", "a file that holds the API key (else POSTHASTE_API_KEY)"),
  tenant: text("TENANT", "for operator keys: the tenant that is acted for (default)"),
  json: flag("JSON for programs: one document, or one a line for lists"),
};

/** What a call works with. */
export interface Calls extends Context {
  readonly client: Client;
  readonly place: Place;
  readonly isJson: boolean;
  readonly tenant: string | null;
  /** One JSON document on a line, its own names in the API's way: `after_ms`. */
  readonly printJson: (value: object) => Promise<void>;
  readonly nowMs: () => number;
}

interface CallDefinition<Own extends Options> extends Omit<Definition<Own>, "run"> {
  readonly run: (given: Given<Own & typeof shared>, calls: Calls) => Promise<number>;
}

export function defineCall<const Own extends Options>(definition: CallDefinition<Own>): Command {
  return defineCommand({
    ...definition,
    options: { ...definition.options, ...shared },
    async run(given, context) {
      const calls = openCalls(given.options as Given<typeof shared>["options"], context);
      try {
        return await definition.run(given, calls);
      } catch (error) {
        return fail(error, calls);
      }
    },
  });
}

/** Tells what went wrong; 1, or 2 for words that could not be sent. */
function fail(error: unknown, { screen, place }: Calls): number {
  // The client's own checks, such as that of an id.
  if (error instanceof TypeError && isOfClient(error)) throw new WrongWords(error.message);
  const lines = explain(error, place);
  if (lines === null) throw error;
  for (const [at, line] of lines.entries()) screen.say(at === 0 ? screen.saidStyled("red", line) : line);
  return 1;
}

function isOfClient({ message }: TypeError): boolean {
  return / is no id: |idempotency key has /.test(message);
}

function openCalls(options: Given<typeof shared>["options"], context: Context): Calls {
  const { env, screen, surroundings } = context;
  const url = urlOf(env, options.url);
  const { apiKey, source, warning } = findKey(env, options["key-file"], url);
  if (warning !== null) screen.say(screen.saidStyled("yellow", warning));
  if (url.startsWith("http:") && !isOnThisMachine(url) && screen.isErrorTerminal) {
    screen.say(
      screen.saidStyled(
        "yellow",
        `The API key goes to ${url} unencrypted: use https:// where there is a proxy with TLS.`,
      ),
    );
  }
  const tenant = options.tenant ?? null;
  const fetch = tellingWaits(surroundings.fetch, screen);
  return {
    ...context,
    client: createClient({ ...surroundings, fetch, url, apiKey, ...(tenant === null ? {} : { tenant }) }),
    place: { url, keySource: source },
    isJson: options.json,
    tenant,
    printJson: (value) => screen.print(`${JSON.stringify(snakeNames(value))}\n`),
    nowMs: surroundings.clock.now,
  };
}

/** Of the outermost object alone: what is inside came from the API. */
function snakeNames(value: object): object {
  const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [snake(name), inner as unknown]));
}

function urlOf(env: Environment, given: string | undefined): string {
  const set = env["POSTHASTE_URL"] ?? "";
  const [name, url] = given === undefined ? ["POSTHASTE_URL", set === "" ? DEFAULT_URL : set] : ["--url", given];
  const { origin = "", pathname = "", href = "" } = URL.parse(url) ?? {};
  if (isHttpUrl(url) && href === origin + pathname) return href.replace(/\/+$/, "");
  throw new WrongWords(
    `${name} must be the URL of a gateway, such as ${DEFAULT_URL}: without user, query and fragment`,
  );
}

/** The client waits as a 429 asks; a person should know why nothing happens. */
function tellingWaits(fetch: Context["surroundings"]["fetch"], screen: Screen): Context["surroundings"]["fetch"] {
  return async (url, init) => {
    const response = await fetch(url, init);
    const seconds = response.headers.get("retry-after");
    if (response.status === 429 && seconds !== null && Number(seconds) > 1) {
      screen.say(screen.saidStyled("dim", `The gateway asks to wait ${seconds} s (429).`));
    }
    return response;
  };
}

/** The same thing to each id, one after the other; what fails is told, and the rest goes on. 1 when something failed. */
export async function forEachId(
  ids: readonly string[],
  calls: Calls,
  work: (id: string) => Promise<void>,
): Promise<number> {
  let code = 0;
  for (const id of ids) {
    try {
      await work(id);
    } catch (error) {
      // Of the next one it says nothing; of all others it would be the same again.
      if (!(error instanceof ProblemError && [404, 409, 410, 422].includes(error.status))) throw error;
      calls.screen.say(calls.screen.saidStyled("red", `${id}: ${error.detail}`));
      code = 1;
    }
  }
  return code;
}

/** What is asked of a link to the portal: for whom, how long the link works, how long who followed it stays in, and the way back. */
import * as v from "valibot";
import { TenantName } from "./event.ts";
import { isThisMachine } from "./this-machine.ts";

/** Of the link: it is made when a page of the caller's is shown, and followed at once. */
export const LINK_S = { least: 10, usual: 300, most: 3600 } as const;
/** Of the session that it opens. */
export const SESSION_S = { least: 60, usual: 3600, most: 43_200 } as const;

/** It is sealed in the link and in the session's cookie, of which browsers keep 4,096 bytes. */
export const RETURN_URL_LENGTH_MAX = 1000;
const TOO_LONG = `must have at most ${RETURN_URL_LENGTH_MAX} characters`;

/** A page of whoever asks. Plain http is for their own machine: the way back from a page of https leads to none without. */
const ReturnUrl = v.pipe(
  v.string("must be a string"),
  v.metadata({
    format: "uri",
    pattern: String.raw`^(https://.+|http://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?(/.*)?)$`,
    description:
      "Where the pages' link back leads: https (http on this machine alone), without user name and password.",
    examples: ["https://app.example.com/settings"],
  }),
  v.maxLength(RETURN_URL_LENGTH_MAX, TOO_LONG),
  v.check((text) => text.isWellFormed(), "must be Unicode without lone surrogates"),
  v.check((text) => URL.canParse(text), "must be an absolute URL such as https://app.example.com/settings"),
  v.check(isReturnPlace, "must begin with https:// (http:// on this machine alone)"),
  v.check(hasNoUser, "must not carry a user name or password"),
  v.transform((text) => new URL(text).href),
  // Once more, for the normal form writes a letter beyond ASCII as up to twelve characters.
  v.maxLength(RETURN_URL_LENGTH_MAX, TOO_LONG),
);

function isReturnPlace(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || (protocol === "http:" && isThisMachine(hostname));
}

function hasNoUser(text: string): boolean {
  if (!URL.canParse(text)) return true;
  const { username, password } = new URL(text);
  return username === "" && password === "";
}

export const NewPortalLink = v.strictObject({
  tenant: v.optional(TenantName),
  expires_in_s: v.pipe(
    v.optional(wholeSeconds(LINK_S), LINK_S.usual),
    v.description("The link is refused from then on."),
  ),
  session_s: v.pipe(
    v.optional(wholeSeconds(SESSION_S), SESSION_S.usual),
    v.description("Who followed the link in time stays in for so long."),
  ),
  read_only: v.pipe(
    v.optional(v.boolean("must be true or false"), false),
    v.description("True: the pages show everything and change nothing."),
  ),
  return_url: v.optional(ReturnUrl),
});

function wholeSeconds({ least, most }: { readonly least: number; readonly most: number }) {
  const words = `must be a whole number of seconds from ${least} to ${most}`;
  return v.pipe(v.number(words), v.integer(words), v.minValue(least, words), v.maxValue(most, words));
}

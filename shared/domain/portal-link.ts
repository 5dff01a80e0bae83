/** What is asked of a link to the portal: for whom, how long the link works, and how long who followed it stays in. */
import * as v from "valibot";
import { TenantName } from "./event.ts";

/** Of the link: it is made when a page of the caller's is shown, and followed at once. */
export const LINK_S = { least: 10, usual: 300, most: 3600 } as const;
/** Of the session that it opens. */
export const SESSION_S = { least: 60, usual: 3600, most: 43_200 } as const;

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
});

function wholeSeconds({ least, most }: { readonly least: number; readonly most: number }) {
  const words = `must be a whole number of seconds from ${least} to ${most}`;
  return v.pipe(v.number(words), v.integer(words), v.minValue(least, words), v.maxValue(most, words));
}

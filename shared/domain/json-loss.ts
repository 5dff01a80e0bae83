/** JSON of a person's that is read and written again on its way to the API, which then cannot see what was lost. */
import { isWritable } from "./json-schema/values.ts";
import { JSON_DEPTH_MAX, repeatedMember, scanDepth } from "./json-span.ts";

/** What would be lost of the text, which was parsed as `value`; `detail` follows the name of the place. Null: nothing. */
export function jsonLoss(
  text: string,
  value: unknown,
): { readonly path: readonly (string | number)[]; readonly detail: string } | null {
  // What is deeper is refused by the API.
  if (!scanDepth(text, JSON_DEPTH_MAX)) return null;
  const repeated = repeatedMember(text);
  if (repeated !== null) return { path: repeated, detail: "is given more than once" };
  return isWritable(value) ? null : { path: [], detail: "has a number that is too large for JSON to be written again" };
}

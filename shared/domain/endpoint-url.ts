/** Where an endpoint is called: which URLs are taken, and the normal form they are kept in. */
import * as v from "valibot";

/** http or https, a host, no user, no fragment, at most 2,048 characters; addresses are vetted by the transport. */
export const EndpointUrl = v.pipe(
  v.string("must be a string"),
  v.metadata({
    format: "uri",
    pattern: "^https?://[^#]+$",
    description: "http or https, without user name, password, fragment or port 0.",
    examples: ["https://example.com/hooks"],
  }),
  v.maxLength(2048, "must have at most 2048 characters"),
  v.check((text) => text.isWellFormed(), "must be Unicode without lone surrogates"),
  v.check((text) => URL.canParse(text), "must be an absolute URL such as https://example.com/hooks"),
  v.check((text) => /^https?:$/.test(protocolOf(text)), "must begin with https:// or http://"),
  v.check((text) => !hasUserInfo(text), "must not carry a user name or password; use a header instead"),
  v.check((text) => !text.includes("#"), "must not have a fragment"),
  v.check((text) => !hasPortZero(text), "must not name port 0, where nothing can listen"),
  v.transform((text) => new URL(text).href),
  // Once more, for the normal form writes a letter beyond ASCII as up to twelve characters.
  v.maxLength(2048, "must have at most 2048 characters"),
);

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : "";
}

function hasPortZero(text: string): boolean {
  return URL.canParse(text) && new URL(text).port === "0";
}

function hasUserInfo(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.username !== "" || url.password !== "";
}

/** Text that people write for people: names and descriptions. Stores keep UTF-8, so it must have one to come back the same. */
import * as v from "valibot";

/** At most `lengthMax` UTF-16 units; no lone surrogate, which has no UTF-8, and no NUL, which may end a stored text. */
export const freeText = (lengthMax: number) =>
  v.pipe(
    v.string("must be a string"),
    v.metadata({ pattern: String.raw`^[^\u0000]*$`, description: "Unicode without lone surrogates and NUL." }),
    v.maxLength(lengthMax, `must have at most ${lengthMax} characters`),
    v.check((text) => text.isWellFormed(), "must be Unicode without lone surrogates"),
    v.check((text) => !text.includes("\0"), "must not contain the character NUL"),
  );

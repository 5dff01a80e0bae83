/** Lists of settings. Their length is checked before their items, so that a list of 30,000 costs no more than its refusal. */
import * as v from "valibot";

/** `what` follows "must name at most 50", `kind` follows "must be"; `none` refuses an empty list; `words` say what it is. */
export const boundedList = <const Item extends v.GenericSchema>(
  item: Item,
  options: {
    readonly max: number;
    readonly what: string;
    readonly kind: string;
    readonly none: string;
    readonly words: string;
  },
) =>
  v.pipe(
    v.array(v.unknown(), `must be ${options.kind}`),
    v.metadata({ items: item, description: options.words }),
    v.minLength(1, options.none),
    v.maxLength(options.max, `must name at most ${options.max} ${options.what}`),
    v.array(item),
  );

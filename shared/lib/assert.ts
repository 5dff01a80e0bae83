/** Broken invariants. An assertion that fails is a bug of ours, never bad input. */

export class AssertionFailure extends Error {
  constructor(message: string) {
    super(`broken invariant: ${message}`);
    this.name = "AssertionFailure";
  }
}

export function assert(fact: unknown, message: string): asserts fact {
  if (!fact) throw new AssertionFailure(message);
}

/** Ends every `switch` over a union: the compiler refuses a case that was forgotten. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`no case for ${JSON.stringify(value)}`);
}

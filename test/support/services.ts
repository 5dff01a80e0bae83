/**
 * The real services that the tests talk to: started once for a whole run and named to the tests by environment
 * variables, so that a test never starts one by itself. The embedded driver set needs none.
 */

export interface Services extends AsyncDisposable {
  /** Added to the environment of every suite. */
  readonly env: Readonly<Record<string, string>>;
}

export async function openServices(): Promise<Services> {
  return { env: {}, [Symbol.asyncDispose]: async () => {} };
}

/**
 * A `Response` whose text is at hand. A server of ours writes the text and the fields as they were given: to read them from
 * the `Response` again costs a promise and a copy of each field. Any other server takes it as the `Response` that it is.
 */

export interface TextResponseParts {
  readonly status: number;
  /** Names in lower case, values as HTTP takes them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

const partsByResponse = new WeakMap<Response, TextResponseParts>();

export function textResponse(parts: TextResponseParts): Response {
  const { status, headers, text } = parts;
  const response = new Response(text === "" ? null : text, { status, headers });
  partsByResponse.set(response, parts);
  return response;
}

/** What `textResponse` was given; null for another `Response`. */
export function partsOf(response: Response): TextResponseParts | null {
  return partsByResponse.get(response) ?? null;
}

/**
 * A `Response` whose text is at hand. A server of ours writes the text and the fields as they were given, and the runtime's
 * own `Response`, which takes 2 us to make, is made only for who asks for it. For any other server there is `webResponse`.
 */

export interface TextResponseParts {
  readonly status: number;
  /** Names in lower case, values as HTTP takes them. */
  readonly headers: Readonly<Record<string, string>>;
  /** As bytes where many are sent the same: they are written as they are, and are not there once for each. */
  readonly text: string | Uint8Array<ArrayBuffer>;
}

/** To be read as a `Response`; the runtime itself takes it for none. */
export function textResponse(parts: TextResponseParts): Response {
  return new TextResponse(parts) as unknown as Response;
}

/** What `textResponse` was given; null for another `Response`. */
export function partsOf(response: Response): TextResponseParts | null {
  return response instanceof TextResponse ? response.parts : null;
}

/** The runtime's own `Response`. */
export function webResponse(response: Response): Response {
  return response instanceof TextResponse ? response.web() : response;
}

class TextResponse {
  readonly parts: TextResponseParts;
  #web: Response | null = null;

  constructor(parts: TextResponseParts) {
    this.parts = parts;
  }

  get status(): number {
    return this.parts.status;
  }

  web(): Response {
    const { status, headers, text } = this.parts;
    this.#web ??= new Response(text.length === 0 ? null : text, { status, headers });
    return this.#web;
  }
}

const GETTERS = ["body", "bodyUsed", "headers", "ok", "redirected", "statusText", "type", "url"] as const;
const METHODS = ["arrayBuffer", "blob", "bytes", "clone", "formData", "json", "text"] as const;

for (const name of GETTERS) {
  Object.defineProperty(TextResponse.prototype, name, {
    get(this: TextResponse) {
      return this.web()[name];
    },
  });
}
for (const name of METHODS) {
  Object.defineProperty(TextResponse.prototype, name, {
    value(this: TextResponse) {
      return this.web()[name]();
    },
  });
}
// So that `instanceof Response` holds.
Object.setPrototypeOf(TextResponse.prototype, Response.prototype);

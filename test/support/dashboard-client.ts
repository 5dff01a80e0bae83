/** A browser as far as the dashboard can tell, without scripts: it keeps one cookie, and sends the forms of the page it is on. */
import assert from "node:assert/strict";
import type { Gateway } from "@posthaste/gateway/app.ts";

export const ORIGIN = "http://localhost";

export interface Seen {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** With each white space as one blank. */
  readonly words: string;
}

type Fields = Readonly<Record<string, string | readonly string[]>>;
type Headed = Readonly<Record<string, string | null>>;

export class DashboardClient {
  readonly #gateway: Gateway;
  cookie: string | null = null;
  /** The token of the last page that had one. */
  token = "";

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  async visit(path: string, headers: Headed = {}): Promise<Seen> {
    return await this.#ask("GET", path, null, { host: "localhost", ...headers });
  }

  /** A form of the page before; `fields` may say another token, `headers` what the browser says of its origin. */
  async send(path: string, fields: Fields, headers: Headed = {}): Promise<Seen> {
    const body = new URLSearchParams();
    for (const [name, value] of Object.entries({ token: this.token, ...fields })) {
      for (const each of typeof value === "string" ? [value] : value) body.append(name, each);
    }
    return await this.#ask("POST", path, body, { origin: ORIGIN, host: "localhost", ...headers });
  }

  async signIn(key: string): Promise<void> {
    const { status, text } = await this.send("/dashboard/sign-in", { key });
    assert.equal(status, 303, text);
    await this.visit("/dashboard");
    assert.notEqual(this.token, "", "a page has a token");
  }

  async #ask(method: string, path: string, body: URLSearchParams | null, headed: Headed): Promise<Seen> {
    const headers = new Headers();
    for (const [name, value] of Object.entries(headed)) if (value !== null) headers.set(name, value);
    if (this.cookie !== null) headers.set("cookie", this.cookie);
    if (body !== null) headers.set("content-type", "application/x-www-form-urlencoded");
    const asked = new Request(`${ORIGIN}${path}`, {
      method,
      headers,
      ...(body === null ? {} : { body: body.toString() }),
    });
    const response = await this.#gateway.fetch(asked);
    const text = await response.text();
    const [set] = response.headers.getSetCookie();
    if (set !== undefined) this.cookie = set.split(";", 1)[0]?.replace(/^[^=]*=$/, "") || null;
    this.token = /name="token" value="([0-9a-f]+)"/.exec(text)?.[1] ?? this.token;
    return { status: response.status, headers: response.headers, text, words: text.replaceAll(/\s+/g, " ") };
  }
}

/** Where a form led to. */
export function movedTo({ status, headers, text }: Seen): string {
  assert.equal(status, 303, text);
  return headers.get("location") ?? "";
}

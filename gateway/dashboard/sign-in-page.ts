/** `/dashboard` for who is not signed in. */
import { html } from "hono/html";
import type { Markup } from "../html/markup.ts";

export interface SignIn {
  /** Where to go then: a path of the dashboard. */
  readonly next: string;
  /** Why the last try, or the session before, is no good. */
  readonly refusal: string | null;
}

export function signInView({ next, refusal }: SignIn): Markup {
  return html`<form method="post" action="/dashboard/sign-in" class="sign-in" id="sign-in">
    ${refusal === null ? "" : html`<p class="notice bad" role="alert">${refusal}</p>`}
    <input type="hidden" name="next" value="${next}" />
    <input type="hidden" name="link" value="" />
    <div class="field wide">
      <label for="f-key">API key</label>
      <input
        id="f-key"
        name="key"
        type="password"
        autocomplete="current-password"
        spellcheck="false"
        aria-describedby="f-key-hint"
        placeholder="phk_…"
      />
      <p class="hint" id="f-key-hint">
        One that may <code>read</code>. With <code>manage</code> it can change things here, too.
        <code>npm start</code> prints one, and a link that signs in.
      </p>
    </div>
    <button class="main">Sign in</button>
    <p class="quiet">You stay signed in for 12 hours, or until the key is revoked.</p>
  </form>`;
}

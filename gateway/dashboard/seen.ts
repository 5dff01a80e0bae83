/**
 * A form sends all of its fields: it would take back what somebody else, or the API, has changed since it was shown. So it carries
 * when that was last changed.
 */
import { html } from "hono/html";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import { problemOf } from "@posthaste/shared/domain/problem.ts";
import type { Markup } from "../html/markup.ts";
import type { Form } from "./form.ts";
import { fieldOf } from "./form.ts";

interface Changeable {
  readonly updated_at: string;
}

export function seenField({ updated_at: at }: Changeable): Markup {
  return html`<input type="hidden" name="seen" value="${at}" />`;
}

/** Null: it is as the form was made from, or the form does not say. */
export function changedSince(form: Form, { updated_at: at }: Changeable): Problem | null {
  if (!form.has("seen") || fieldOf(form, "seen") === at) return null;
  const detail =
    "Somebody has changed this since you opened the form, and nothing was saved. The form has what you typed: look at the page in another window, and save again what is to hold.";
  return problemOf(new PosthasteError("validation-failed", detail));
}

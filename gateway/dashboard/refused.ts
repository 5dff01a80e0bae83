/** What a page is not shown for: a call that was refused, or a form that is none of ours. Its facts are shown instead. */
import type { Problem } from "@posthaste/shared/domain/problem.ts";

export type Refusal = Pick<Problem, "status" | "title" | "detail">;

export class Refused extends Error {
  override readonly name = "Refused";
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.detail);
    this.refusal = refusal;
  }
}

/** Errors as `application/problem+json` (RFC 9457). */
import * as v from "valibot";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { ERRORS } from "@posthaste/shared/domain/errors.ts";

export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];

const FieldProblem = v.object({
  detail: v.string(),
  pointer: v.optional(v.pipe(v.string(), v.description("A JSON pointer into the body, as URI fragment: `#/type`."))),
  header: v.optional(v.string()),
  parameter: v.optional(v.string()),
});

export const Problem = v.object({
  type: v.string(),
  title: v.string(),
  status: v.pipe(v.number(), v.integer()),
  detail: v.pipe(v.string(), v.description("What is wrong here, and what to do about it.")),
  code: v.pipe(v.picklist(ERROR_CODES), v.description("Stable; what programs look at.")),
  errors: v.optional(v.pipe(v.array(FieldProblem), v.description("Each place that is wrong, at most 20."))),
  "violated-policies": v.optional(v.array(v.string())),
  trace_id: v.optional(v.pipe(v.string(), v.description("Finds the request in the log and in traces."))),
});

/**
 * Checks input against a schema and reports all problems at once. Each has the JSON pointer of its field (RFC 6901, as URI
 * fragment) and the remedy. Unknown fields are refused by name.
 */
import * as v from "valibot";
import type { FieldProblem } from "@posthaste/shared/domain/errors.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { clip } from "@posthaste/shared/domain/problem.ts";

/** Most problems in one answer. */
const PROBLEMS_MAX = 20;
/** Most characters of a name that the caller made up. */
const NAME_LENGTH_MAX = 64;

type Schema = v.GenericSchema;

/**
 * The parsed value. Throws `validation-failed`, with the first fault of each field: whatever stands after a length that is
 * exceeded need not be looked at.
 */
export function validate<const S extends Schema>(schema: S, input: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, input, { abortPipeEarly: true });
  if (parsed.success && isObject(input)) return parsed.output;
  throw invalid(parsed.success ? [] : parsed.issues, input);
}

/** As `validate`, and refuses the keys that valibot drops silently from a record. For input that we know at every depth. */
export function validateStrictly<const S extends Schema>(schema: S, input: unknown): v.InferOutput<S> {
  const path = silentKey(input);
  if (path === null) return validate(schema, input);
  const problem = {
    pointer: pointerTo(path),
    detail: "is no name that a field here can have; remove it or choose another",
  };
  throw new PosthasteError("validation-failed", { detail: describe([problem]), errors: [problem] });
}

export function failed(problems: readonly FieldProblem[]): PosthasteError {
  const errors = problems.slice(0, PROBLEMS_MAX);
  return new PosthasteError("validation-failed", { detail: describe(errors), errors });
}

/** A member that is given twice is refused: other parsers may read another of the two. */
export function givenTwice(path: readonly (string | number)[]): PosthasteError {
  const name = String(path.at(-1) ?? "");
  return new PosthasteError("invalid-json", {
    detail: `The member ${JSON.stringify(clip(name, NAME_LENGTH_MAX))} is given more than once.`,
    errors: [{ pointer: pointerTo(path), detail: "is given more than once" }],
  });
}

/**
 * RFC 6901 section 6: `~` and `/` are escaped, then percent-encoded where a fragment demands it. A name that is longer
 * than any of ours is cut.
 */
export function pointerTo(path: readonly (string | number)[]): string {
  const steps = path.map((step) => {
    const name = wellFormed(clip(String(step), NAME_LENGTH_MAX));
    return `/${encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1"))}`;
  });
  return `#${steps.join("")}`;
}

type Issue = v.BaseIssue<unknown>;

function invalid(issues: readonly Issue[], input: unknown): PosthasteError {
  if (!isObject(input)) return failed([{ pointer: "#", detail: "must be a JSON object" }]);
  return failed(issues.map(fieldProblem));
}

function fieldProblem(issue: Issue): FieldProblem {
  const path = (issue.path ?? []).map((item) => (typeof item.key === "number" ? item.key : String(item.key)));
  const pointer = pointerTo(path);
  if (issue.kind === "schema" && issue.type === "strict_object") {
    if (issue.expected === "never") return { pointer, detail: "is not a field here; remove it or correct its name" };
    if (issue.expected === "Object") return { pointer, detail: "must be an object" };
    return { pointer, detail: "is required" };
  }
  return { pointer, detail: issue.message };
}

function describe(problems: readonly FieldProblem[]): string {
  const first = problems[0];
  if (first === undefined) return "The request does not fit the schema.";
  const where = first.pointer ?? first.header ?? first.parameter ?? "#";
  const more = problems.length === 1 ? "" : ` (and ${problems.length - 1} more, see errors)`;
  return `${where === "#" ? "The body" : where} ${first.detail}${more}.`;
}

function isObject(input: unknown): input is Readonly<Record<string, unknown>> {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

const silentKeys = new Set(["__proto__", "constructor", "prototype"]);

/** The path of the first key that a record schema would drop; depth is bounded by the parser. */
function silentKey(value: unknown): string[] | null {
  if (typeof value !== "object" || value === null) return null;
  for (const [key, member] of Object.entries(value)) {
    if (silentKeys.has(key)) return [key];
    const deeper = silentKey(member);
    if (deeper !== null) return [key, ...deeper];
  }
  return null;
}

/** A lone surrogate has no UTF-8 and would make `encodeURIComponent` throw. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}

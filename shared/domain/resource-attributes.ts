/**
 * What this program calls itself in its telemetry, by the OpenTelemetry specification's environment variables:
 * `OTEL_SERVICE_NAME`, and `OTEL_RESOURCE_ATTRIBUTES` as `key=value,key=value` with `,` and `=` percent-encoded ("Resource SDK",
 * "Specifying resource information via an environment variable"). Empty counts as not set.
 */
import type { Environment } from "./config.ts";

const NAME = "service.name";

export type ResourceAttributes = Readonly<Record<string, string>>;

/** Those that are set; a list that does not read back counts as not set, and `resourceAttributesFault` says so. */
export function resourceAttributesOf(environment: Environment): ResourceAttributes {
  const { [NAME]: listed = "", ...others } = parse(environment["OTEL_RESOURCE_ATTRIBUTES"] ?? "") ?? {};
  const name = environment["OTEL_SERVICE_NAME"]?.trim() || listed;
  return name === "" ? others : { ...others, [NAME]: name };
}

/** A sentence for whoever set it; null when all is well. These variables are other programs' too, so that it stops nothing. */
export function resourceAttributesFault(environment: Environment): string | null {
  if (parse(environment["OTEL_RESOURCE_ATTRIBUTES"] ?? "") !== null) return null;
  return "OTEL_RESOURCE_ATTRIBUTES has no effect: it must be key=value,key=value, with , = and % in them percent-encoded";
}

/** Null for what does not read back: the specification has the whole value discarded then. */
function parse(text: string): Record<string, string> | null {
  const pairs = text.split(",").map((pair) => pair.split("=").map((part) => decoded(part.trim())));
  if (pairs.length === 1 && text.trim() === "") return {};
  const attributes: Record<string, string> = {};
  for (const [key, value, ...rest] of pairs) {
    if (key === undefined || key === null || key === "" || value === undefined || value === null) return null;
    if (rest.length > 0) return null;
    attributes[key] = value;
  }
  return attributes;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The log events that the source writes, found by their calls: `log.write("warn", "claim.not_completed", ...)`. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { Level } from "@posthaste/shared/telemetry/log.ts";
import { LEVELS } from "@posthaste/shared/telemetry/log.ts";
import type { LogEvent } from "./exercise-telemetry.ts";

const root = join(import.meta.dirname, "../..");

export interface LogCalls {
  readonly literal: readonly LogEvent[];
  /** Calls whose level or name is not written out. */
  readonly computed: readonly { readonly path: string; readonly call: string }[];
}

export function logCalls(): LogCalls {
  const literal: LogEvent[] = [];
  const computed: { path: string; call: string }[] = [];
  for (const { path, text } of sources()) {
    for (const { 0: call, index } of text.matchAll(/\blog\??\.write\(/g)) {
      const args = text.slice(index + call.length);
      const [, level = "", event = ""] = /^\s*"(\w+)",\s*"([\w.-]+)",/.exec(args) ?? [];
      if (isLevel(level)) literal.push({ level, event });
      else computed.push({ path, call: args.slice(0, 60) });
    }
    // The log says of itself that lines are missing, without a call.
    for (const [, level = "", event = ""] of text.matchAll(/\{ level: "(\w+)", event: "([\w.-]+)"/g)) {
      if (isLevel(level)) literal.push({ level, event });
    }
  }
  return { literal, computed };
}

/** All that runs in production. */
export function sources(): readonly { readonly path: string; readonly text: string }[] {
  const paths = ["shared", "gateway", "processor", "cli"].flatMap(sourcesUnder);
  return paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

function isLevel(word: string): word is Level {
  return LEVELS.some((level) => level === word);
}

function sourcesUnder(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : sourcesUnder(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

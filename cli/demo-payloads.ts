/**
 * The demo's events: every example in npm `@octokit/webhooks-examples`, which are bodies that GitHub really sent, from
 * github.com and from five versions of its server.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Priority } from "@posthaste/shared/domain/event.ts";

export interface Payload {
  /** `pull_request.opened`: the name of GitHub's event and, where there is one, its action. */
  readonly type: string;
  readonly priority: Priority;
  /** The JSON text to publish as `data`. */
  readonly dataText: string;
}

const require = createRequire(import.meta.url);

const files = [
  require.resolve("@octokit/webhooks-examples/api.github.com/index.json"),
  require.resolve("@octokit/webhooks-examples/ghes-31/index.json"),
  require.resolve("@octokit/webhooks-examples/ghes-32/index.json"),
  require.resolve("@octokit/webhooks-examples/ghes-33/index.json"),
  require.resolve("@octokit/webhooks-examples/ghes-34/index.json"),
  require.resolve("@octokit/webhooks-examples/ghes-35/index.json"),
];

const cycle: readonly Priority[] = ["HIGH", "MEDIUM", "LOW"];

interface EventExamples {
  readonly name: string;
  readonly examples: readonly { readonly action?: unknown }[];
}

/**
 * Indented text, since it tells more: whoever parsed it and wrote it again on the way would not hit the same bytes.
 */
export function readPayloads(): readonly Payload[] {
  return files
    .flatMap((file) => JSON.parse(readFileSync(file, "utf8")) as readonly EventExamples[])
    .flatMap(({ name, examples }) => examples.map((example) => ({ name, example })))
    .map(({ name, example }, index) => ({
      type: typeof example.action === "string" ? `${name}.${example.action}` : name,
      priority: cycle[index % cycle.length] ?? "MEDIUM",
      dataText: JSON.stringify(example, null, 2),
    }));
}

/** `npm run build:worker`: the gateway of Cloudflare Workers as one file, `gateway/dist/worker.js`, with the Lua inside. */
import { bundle, writeBundle } from "./bundle.ts";

/** The text of the worker. Throws what the bundler says. */
export function buildWorker(): Promise<string> {
  return bundle("worker.ts", { conditions: ["workerd", "worker"], minify: true });
}

const HELP = `Usage: npm run build:worker

Writes gateway/dist/worker.js, which gateway/wrangler.json names, and says how large it is. docs/edge.md has the rest.
`;

if (import.meta.main) await writeBundle("worker.js", { help: HELP, build: buildWorker });

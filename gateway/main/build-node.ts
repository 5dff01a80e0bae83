/** `npm run build:node`: the gateway for Node 20 and 22 as one file of JavaScript, `gateway/dist/node.js`. */
import { bundle, writeBundle } from "./bundle.ts";

/** The text of the program. Throws what the bundler says. Not minified, so that a stack trace can be read. */
export function buildNode(): Promise<string> {
  return bundle("older-node.ts", { minify: false });
}

const HELP = `Usage: npm run build:node

Writes gateway/dist/node.js, the gateway for Node 20 or newer: node gateway/dist/node.js takes the settings of npm run gateway. It needs no other file.
`;

if (import.meta.main) await writeBundle("node.js", { help: HELP, build: buildNode });

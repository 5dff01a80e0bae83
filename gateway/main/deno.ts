/** `deno run -A gateway/main/deno.ts`, beside the `node_modules` of `npm ci`. */
import { runGateway } from "./run-gateway.ts";

await runGateway();

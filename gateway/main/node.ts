/** `node gateway/main/node.ts`: Node 24 or newer, which runs TypeScript as it is. */
import { runGateway } from "./run-gateway.ts";

await runGateway();

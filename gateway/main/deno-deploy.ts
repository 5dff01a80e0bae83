/** The entry for Deno Deploy; elsewhere `deno run -A gateway/main/deno-deploy.ts`, which listens on HOST and PORT. */
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { parseEdge } from "@posthaste/shared/domain/edge-config.ts";
import { cannotListen } from "@posthaste/shared/drivers/http/server/cannot-listen.ts";
import { runProgram } from "@posthaste/shared/runtime/entry.ts";
import { createEdgeGateway } from "./edge-gateway.ts";

interface Address {
  readonly hostname: string;
  readonly port: number;
}

declare const Deno: {
  serve(
    options: Address & { onListen(address: Address): void },
    handler: (request: Request) => Promise<Response>,
  ): { readonly finished: Promise<void> };
};

/** Throws `ConfigError` before anything listens. */
async function serve(): Promise<number> {
  const { env } = process;
  const { host, port } = parseConfig(env);
  parseEdge(env);
  const answer = createEdgeGateway();
  // Goes on after the answer, as long as the instance does.
  const keep = (work: Promise<unknown>): void => void work.catch(() => undefined);
  await listen(host, port, (request) => answer(request, env, keep)).finished;
  return 0;
}

function listen(host: string, port: number, handler: (request: Request) => Promise<Response>) {
  const onListen = (address: Address): void => {
    const url = `http://${address.hostname}:${address.port}`;
    console.log(JSON.stringify({ level: "info", event: "gateway.listening", url }));
  };
  try {
    return Deno.serve({ hostname: host, port, onListen }, handler);
  } catch (error) {
    throw cannotListen({ host, port, portSetting: "PORT" }, error);
  }
}

await runProgram("gateway", serve);

/** The entry for Deno Deploy; elsewhere `deno run -A gateway/main/deno-deploy.ts`, which listens on HOST and PORT. */
import { createEdgeGateway } from "./edge-gateway.ts";

declare const Deno: {
  readonly env: { toObject(): Record<string, string> };
  serve(
    options: { hostname: string; port: number; onListen(address: { hostname: string; port: number }): void },
    handler: (request: Request) => Promise<Response>,
  ): void;
};

const answer = createEdgeGateway();
const environment = Deno.env.toObject();
const { HOST: hostname = "127.0.0.1", PORT: port = "8080" } = environment;

Deno.serve(
  {
    hostname,
    port: Number(port),
    onListen(address) {
      const url = `http://${address.hostname}:${address.port}`;
      console.log(JSON.stringify({ level: "info", event: "gateway.listening", url }));
    },
  },
  // An instance goes on after an answer, as long as something is under way.
  (request) => answer(request, environment, (work) => void work),
);

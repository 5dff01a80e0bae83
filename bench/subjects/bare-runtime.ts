/**
 * The least that serves HTTP on a runtime, by what the runtime itself has for it: reads and parses the event, answers 202. As a program it
 * listens on PORT; in workerd its default export answers.
 */
async function answer(request: Request): Promise<Response> {
  const event = (await request.json()) as { readonly type?: unknown };
  if (typeof event.type !== "string") return Response.json({ title: "not valid" }, { status: 422 });
  return Response.json({ id: crypto.randomUUID(), lane: "high" }, { status: 202 });
}

interface DenoRuntime {
  serve(options: { port: number; hostname: string }, handler: (request: Request) => Promise<Response>): unknown;
}

async function listen(): Promise<void> {
  const port = Number(process.env["PORT"]);
  const hostname = "127.0.0.1";
  const runtime = globalThis as { readonly Bun?: typeof Bun; readonly Deno?: DenoRuntime };
  if (runtime.Bun !== undefined) runtime.Bun.serve({ port, hostname, fetch: answer });
  else if (runtime.Deno !== undefined) runtime.Deno.serve({ port, hostname }, answer);
  else await listenOnNode(port, hostname);
}

async function listenOnNode(port: number, hostname: string): Promise<void> {
  const http = await import("node:http");
  const server = http.createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (part: string) => (text += part));
    request.on("end", () => {
      const event = JSON.parse(text) as { readonly type?: unknown };
      const status = typeof event.type === "string" ? 202 : 422;
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ id: crypto.randomUUID(), lane: "high" }));
    });
  });
  server.listen(port, hostname);
}

const isWorker = typeof process === "undefined" || process.env["PORT"] === undefined;
if (!isWorker) await listen();

// The shape that workerd takes; Bun would listen for it by itself.
export default isWorker ? { fetch: answer } : {};

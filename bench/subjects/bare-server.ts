/** The least that serves HTTP: the runtime's own server without our bounds. For ceilings, and for what receives load. */

/** The port it took. */
export function serveBare(fetch: (request: Request) => Response | Promise<Response>): number {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, development: false, reusePort: false, fetch });
  return server.port ?? 0;
}

/** The ceiling of accept in all: a server that reads a body and sends it back. */
import { serveBare } from "./bare-server.ts";
import { tell } from "./talk.ts";

tell({ port: serveBare(async (request) => new Response(await request.text())) });
process.stdin.resume();

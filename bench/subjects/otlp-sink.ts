/** A collector that takes everything and keeps nothing. */
import { serveBare } from "./bare-server.ts";
import { answerLines, tell } from "./talk.ts";

let bytes = 0;
const port = serveBare(async (request) => {
  bytes += (await request.arrayBuffer()).byteLength;
  return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
});
tell({ port });
await answerLines(async () => ({ bytes }));

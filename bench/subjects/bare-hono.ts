/** The ceiling of accept: nothing is kept. */
import { bareHono } from "./bare-hono-app.ts";
import { serveBare } from "./bare-server.ts";
import { tell } from "./talk.ts";

tell({ port: serveBare(bareHono(() => null).fetch) });

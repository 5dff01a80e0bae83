/** The ceiling of accept: bare Hono that checks the key, reads, parses and validates the event, and answers 202. */
import { Hono } from "hono";
import * as v from "valibot";
import { NewEvent } from "@posthaste/shared/domain/event.ts";
import { BENCH_KEY } from "../load.ts";
import { serveBare } from "./bare-server.ts";
import { tell } from "./talk.ts";

const app = new Hono();
app.post("/v1/events", async (context) => {
  if (context.req.header("authorization") !== `Bearer ${BENCH_KEY}`) return context.json({ title: "no key" }, 401);
  const event = v.safeParse(NewEvent, JSON.parse(await context.req.text()));
  if (!event.success) return context.json({ title: "not valid" }, 422);
  const id = `evt_${crypto.randomUUID()}`;
  return context.json({ id, lane: "medium", status_url: `/v1/events/${id}` }, 202);
});
tell({ port: serveBare(app.fetch) });

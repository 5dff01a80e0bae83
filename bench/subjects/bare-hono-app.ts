/** Bare Hono that checks the key, reads, parses and validates the event, keeps it by what it is given, and answers 202. */
import { Hono } from "hono";
import * as v from "valibot";
import { NewEvent } from "@posthaste/shared/domain/event.ts";
import { BENCH_KEY } from "../load.ts";

export function bareHono(keep: (text: string) => Promise<unknown> | null): Hono {
  const app = new Hono();
  app.post("/v1/events", async (context) => {
    if (context.req.header("authorization") !== `Bearer ${BENCH_KEY}`) return context.json({ title: "no key" }, 401);
    const text = await context.req.text();
    const event = v.safeParse(NewEvent, JSON.parse(text));
    if (!event.success) return context.json({ title: "not valid" }, 422);
    await keep(text);
    const id = `evt_${crypto.randomUUID()}`;
    return context.json({ id, lane: "medium", status_url: `/v1/events/${id}` }, 202);
  });
  return app;
}

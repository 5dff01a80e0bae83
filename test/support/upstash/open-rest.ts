/** The REST server of the tests over a Redis, that of REDIS_URL unless told. */
import { openRestRedis } from "./rest-redis.ts";
import type { RestServer } from "./rest-server.ts";
import { openRestServer } from "./rest-server.ts";

const TOKEN = "a-token-of-the-tests";

/** Without a Redis it fails, and so does the test. */
export async function openRest(url = process.env["REDIS_URL"]): Promise<RestServer> {
  if (url === undefined) throw new Error("REDIS_URL is not set: this test needs a real Redis");
  const redis = await openRestRedis(url);
  const server = await openRestServer({ redis, token: TOKEN });
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

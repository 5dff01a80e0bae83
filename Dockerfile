# One image for all programs; the command chooses: `gateway`, `processor`, or `posthaste` with a word of its own.
# Dependencies come from the lock file; the runtime is the same Bun that npm installs for development.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY shared/package.json shared/
COPY gateway/package.json gateway/
COPY processor/package.json processor/
COPY cli/package.json cli/
COPY client/package.json client/
RUN npm ci --omit=dev --no-audit --no-fund
# Nothing of these is run in the image: valibot's optional peer, types, and the payloads of `posthaste demo`.
RUN rm -rf node_modules/typescript
RUN rm -rf node_modules/@typescript
RUN rm -rf node_modules/@types
RUN rm -rf node_modules/@octokit
COPY shared shared
COPY gateway gateway
COPY processor processor
COPY client client
COPY cli cli

FROM debian:bookworm-slim
RUN groupadd --gid 10001 posthaste && useradd --uid 10001 --gid posthaste --no-create-home posthaste
# A volume that is made for it belongs to the program, too.
RUN install --directory --owner=posthaste --group=posthaste /data
WORKDIR /app
COPY --from=build /app /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 PROCESSOR_PORT=8081
USER 10001:10001
EXPOSE 8080 8081
# Silent: the first line of the log is the program's.
ENTRYPOINT ["/app/node_modules/.bin/bun", "run", "--silent"]
CMD ["gateway"]

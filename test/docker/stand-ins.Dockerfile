# Stand-ins for the images of others that docker/compose.yaml names, where no registry of images can be reached: Debian's
# PostgreSQL and Redis, started as the official images start theirs, as far as the compose file uses it.

FROM docker.io/library/node:24-slim AS postgres
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ 2>/dev/null; postgres --version
COPY --chmod=755 test/docker/postgres-entrypoint.sh /usr/local/bin/entrypoint
ENV PGDATA=/var/lib/postgresql/data/pgdata
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["entrypoint"]

FROM docker.io/library/node:24-slim AS redis
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server redis-tools \
    && rm -rf /var/lib/apt/lists/*
USER 999:1000

FROM docker.io/library/node:24-slim AS python
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*

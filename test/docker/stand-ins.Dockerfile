# Stand-ins for the images of others that docker/compose.yaml names, where no registry of images can be reached: Debian's
# programs, with the users, folders and commands of the official images, as far as the compose file uses them.
#
# Grafana has none: Debian has no package of it.

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

FROM docker.io/library/node:24-slim AS rabbitmq
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends rabbitmq-server \
    && rm -rf /var/lib/apt/lists/*
VOLUME /var/lib/rabbitmq
CMD ["rabbitmq-server"]

FROM docker.io/library/node:24-slim AS prometheus
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus wget \
    && rm -rf /var/lib/apt/lists/* && install -d -o nobody -g nogroup /prometheus
VOLUME /prometheus
USER nobody
ENTRYPOINT ["prometheus"]

FROM docker.io/library/node:24-slim AS alertmanager
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus-alertmanager wget \
    && rm -rf /var/lib/apt/lists/* && install -d -o nobody -g nogroup /alertmanager
VOLUME /alertmanager
USER nobody
ENTRYPOINT ["prometheus-alertmanager"]

FROM docker.io/library/node:24-slim AS caddy
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends caddy wget \
    && rm -rf /var/lib/apt/lists/* && install -d /data /config
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
VOLUME /data /config
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]

# The server's image; with --target loadtest the load generator's, with --target backup that of backups. docs/deployment.md says how they are run.
#
#   docker build --tag patient-access:0.1.0 .
#   docker run --rm   -e DATABASE_URL=... patient-access:0.1.0 migrate
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -e DATABASE_URL=... -e BASE_URL=... patient-access:0.1.0
#
# Whatever stands behind the image's name is a command of `patient-access`; without any it serves. Nothing migrates by itself.
ARG PYTHON_VERSION=3.13

# ---- the environment is made where there is pip, and then copied as a whole ----
FROM python:${PYTHON_VERSION}-slim-trixie AS build
WORKDIR /build
COPY pyproject.toml ./
# Extras of pyproject.toml beside what the server needs, e.g. telemetry.
ARG EXTRAS=
# What the server depends on changes seldom: a layer of its own.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/patient-access \
 && python -c "import os, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *(d for e in os.environ.get('EXTRAS', '').split() for d in p['optional-dependencies'][e]), sep='\n')" > requirements.txt \
 && pip --python /opt/patient-access/bin/python install --requirement requirements.txt
COPY README.md CHANGELOG.md LICENSE ./
COPY server server
COPY seed_data seed_data
COPY loadtests loadtests
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --wheel-dir wheels . \
 && pip --python /opt/patient-access/bin/python install --no-deps wheels/*.whl

# ---- the same with locust ----
FROM build AS build-loadtest
RUN --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['optional-dependencies']['load'], sep='\n')" > load.txt \
 && pip --python /opt/patient-access/bin/python install --requirement load.txt

# ---- what runs: Python and the environment; no pip, no compiler, no user with a name ----
FROM python:${PYTHON_VERSION}-slim-trixie AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="patient-access" \
      org.opencontainers.image.description="A payer's Patient Access API: SMART App Launch, FHIR R4, the CMS-0057-F reports" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /srv/patient-access
# An SQLite file and a test deployment's own key lie in var; with PostgreSQL and SECRET_KEY nothing is written there.
RUN python -m pip uninstall --yes --quiet pip \
 && mkdir var \
 && chown 10001:10001 var
ENV PATH="/opt/patient-access/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000
USER 10001:10001
VOLUME /srv/patient-access/var
STOPSIGNAL SIGTERM
ENTRYPOINT ["patient-access"]

# ---- docker build --target loadtest: workers and master of `patient-access loadtest` ----
FROM runtime AS loadtest
COPY --from=build-loadtest /opt/patient-access /opt/patient-access
CMD ["loadtest", "--help"]

# ---- docker build --target backup: with PostgreSQL's own pg_dump and pg_restore (docs/backup.md) ----
FROM runtime AS backup
USER 0:0
# The distribution's newest patch of one major version is what is wanted.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client-17 \
 && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=build /opt/patient-access /opt/patient-access
CMD ["backup", "--help"]

# ---- the default ----
FROM runtime AS server
COPY --from=build /opt/patient-access /opt/patient-access
EXPOSE 8000
# Docker itself restarts nothing that is unhealthy; who waits for it (compose, a deployment script) does.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/readyz', timeout=4)"]
CMD ["serve"]

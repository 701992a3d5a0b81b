# A plain image: migrates, then serves on port 8000. Give it DATABASE_URL, BASE_URL, SECRET_KEY and ENVIRONMENT (see README.md).
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 HOST=0.0.0.0 PORT=8000

WORKDIR /srv/patient-access
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY server server
COPY seed_data seed_data
COPY loadtests loadtests
RUN pip install . \
 && useradd --system --home-dir /srv/patient-access patient-access \
 && mkdir var && chown patient-access var
USER patient-access
VOLUME /srv/patient-access/var
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/fhir/metadata\", timeout=4)"]

CMD ["sh", "-c", "patient-access migrate && exec patient-access serve"]

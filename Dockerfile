# The proxy: docker build --tag batchframe .
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    BATCHFRAME_HOME=/var/lib/batchframe

COPY pyproject.toml README.md LICENSE /src/
COPY batchframe /src/batchframe
RUN pip install --root-user-action=ignore /src && rm -rf /src

# Files in transit are kept here, and where no database is named the embedded one, which does not run as root.
RUN useradd --uid 10001 --home-dir /var/lib/batchframe --create-home --shell /usr/sbin/nologin batchframe \
    && chmod 700 /var/lib/batchframe
USER batchframe
WORKDIR /var/lib/batchframe
VOLUME /var/lib/batchframe

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]

CMD ["batchframe", "serve", "--host", "0.0.0.0"]

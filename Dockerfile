# The service, its commands and the demo shop. The last stage has Python and the environment: no pip, no compiler.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .
# What only building needs.
RUN /opt/venv/bin/pip uninstall --yes hatchling editables pathspec pluggy tomlkit trove-classifiers setuptools && \
    /opt/venv/bin/pip check && /opt/venv/bin/pip uninstall --yes pip

FROM python:3.11-slim
RUN python -m pip uninstall --yes --root-user-action=ignore wheel setuptools pip && rm -r /usr/local/lib/python3.11/ensurepip
RUN useradd --system --uid 10001 --home-dir /data approvals && install -d -o approvals -m 0700 /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    APPROVALS_HOST=0.0.0.0 \
    APPROVALS_DATABASE_URL=sqlite:////data/approvals.db
USER approvals
WORKDIR /data
EXPOSE 8700
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8700/readyz')"]
CMD ["approvals", "serve"]

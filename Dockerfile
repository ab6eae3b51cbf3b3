# The command line and the worker, with this repository's pipelines.yaml, sql_out/ and handlers/.
FROM python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea AS build
WORKDIR /build
RUN python -m venv /opt/changelane
# Each file that is installed is one whose hash was reviewed; `make lock` renews them.
COPY requirements.lock ./
RUN /opt/changelane/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY changelane changelane
COPY generator generator
COPY runner runner
RUN /opt/changelane/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea
ENV PATH=/opt/changelane/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --create-home changelane
COPY --from=build /opt/changelane /opt/changelane
# Owned by root: a worker reads what was reviewed and changes none of it.
WORKDIR /app
COPY pipelines.yaml ./
COPY sql_out sql_out
COPY handlers handlers
USER changelane
ENTRYPOINT ["changelane"]
CMD ["work"]

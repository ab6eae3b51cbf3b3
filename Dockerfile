# The command line and the worker, with this repository's pipelines.yaml, sql_out/ and handlers/.
FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /opt/changelane
COPY pyproject.toml README.md LICENSE ./
COPY changelane changelane
COPY generator generator
COPY runner runner
RUN /opt/changelane/bin/pip install --no-cache-dir .

FROM python:3.12-slim
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

# For hosts without Python 3.11 or with a C library that is too old. Build: docker build -t metaprior .
# Run the demo, as yourself and with the results in a folder of yours (Docker would make it root's):
#   mkdir -p runs
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/runs:/app/runs" metaprior run --config configs/digits.yaml
FROM python:3.11-slim-trixie
WORKDIR /app
RUN useradd --create-home metaprior && chown metaprior /app
USER metaprior
COPY --chown=metaprior bootstrap bootstrap
COPY --chown=metaprior requirements.lock setup.py pyproject.toml ./
COPY --chown=metaprior pipeline pipeline
COPY --chown=metaprior components components
COPY --chown=metaprior models models
COPY --chown=metaprior serving serving
RUN bash bootstrap/setup.sh && rm -rf .runtime/cache
COPY --chown=metaprior configs configs
# A caller's user has no home in here; what libraries keep for themselves goes with the container.
ENV PATH=/app/.venv/bin:$PATH HOME=/tmp USER=metaprior
ENTRYPOINT ["metaprior"]
CMD ["--help"]

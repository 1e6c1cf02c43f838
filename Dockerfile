# For hosts without Python 3.11 or with a C library that is too old. Build: docker build -t metaprior .
# Run the demo: docker run --rm -v "$PWD/runs:/app/runs" metaprior run --config configs/digits.yaml
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
ENV PATH=/app/.venv/bin:$PATH
ENTRYPOINT ["metaprior"]
CMD ["--help"]

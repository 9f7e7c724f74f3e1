# The course in a container, from the same lock as everywhere: docker compose up
FROM python:3.13-slim
RUN useradd --create-home learner && mkdir /course && chown learner /course
USER learner
WORKDIR /course
# Nothing is kept twice: the layer is the only copy.
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
# What the set-up reads, first: a change of a notebook then installs nothing anew.
COPY --chown=learner requirements*.txt ./
COPY --chown=learner helpers helpers
RUN python -m helpers.cli.bootstrap
COPY --chown=learner . .
# Volumes take their owner from what stands in their place.
RUN mkdir -p .workbook my_notebooks
EXPOSE 8888 8000
CMD ["python", "-m", "helpers", "lab", "--no-browser", "--ip", "0.0.0.0", "--port", "8888"]

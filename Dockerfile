# The environment of this repository in an image, for those who prefer that to scripts/bootstrap
# on the host (or whose host it does not support). Not built in CI. For serving a model in
# production see serving/, which uses TensorFlow Serving's own image.
#
#   docker compose run --rm addrl            # the same as `make run`
#   docker compose run --rm addrl make test

# Debian 13: its glibc is new enough for every wheel.
FROM --platform=linux/amd64 python:3.11-slim-trixie

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

ENV PYTHON=/usr/local/bin/python3.11 \
    UV_CACHE_DIR=/tmp/uv-cache
WORKDIR /app

# The environment first: it changes only with these files, so Docker can keep it.
COPY requirements.lock setup.py ./
COPY schema schema
COPY scripts scripts
COPY addrl_keras/version.py addrl_keras/version.py
RUN scripts/bootstrap && rm -rf /tmp/uv-cache

COPY . .
CMD ["make", "run"]
